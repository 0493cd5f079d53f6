"""The agents on the nodes: what they are given, and what they have told.

One Secret holds a claim of each registry that asks, and is mounted by the agents; one ConfigMap has a report of each
node. The chart makes both, in the operator's own namespace.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

from pier_operator import api
from pier_operator.api import Manifest
from pier_operator.cache import Cache, Key
from pier_operator.claim import COMPLETE, Claim, Verdict, told
from pier_operator.kube import Kube, KubeError, Refused
from pier_operator.observed import decoded, encoded
from pier_operator.plan.child import Condition, Plan, Situation
from pier_operator.plan.nodes import CONDITION, Told, folded, rivals
from pier_operator.settings import Settings

_SECRET: Final = api.KINDS["Secret"]
_REPORTS: Final = api.KINDS["ConfigMap"]
# Seconds that what was read is good for, so that many registries read it once, and in a large cluster seldom.
_FRESH: Final = 1.0
_FRESH_BY_NODE: Final = 0.01
_PATIENCE: Final = 60.0  # seconds after which a registry that cannot be read keeps no node waiting
_FIRST: Final = 1.0
_LONGEST: Final = 30.0
_REST: Final = 60.0  # seconds until nodes that have joined are looked for

_log = logging.getLogger("pier.agents")


@dataclass(frozen=True, slots=True)
class Answer:
    """`wait` is when to look again, in seconds. `counts` are empty while no node is asked for anything."""

    conditions: tuple[Condition, ...]
    wait: float
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Seen:
    at: float
    secret: Manifest
    reports: Manifest
    pods: list[Manifest]

    @property
    def claims(self) -> dict[str, str]:
        return decoded(self.secret)

    def told(self) -> dict[str, dict[str, Verdict]]:
        return {node: told(text) for node, text in (self.reports.get("data") or {}).items()}


@dataclass(slots=True)
class _Patience:
    message: str
    faults: int


class Agents:
    """One for the process, safe for threads."""

    def __init__(
        self, kube: Kube, cache: Cache, settings: Settings, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._kube = kube
        self._cache = cache
        self._settings = settings
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: _Seen | None = None
        self._began = clock()
        self._looked: set[Key] = set()
        self._patience: dict[Key, _Patience] = {}

    def ask(self, situation: Situation, planned: Plan) -> Answer:
        """Give the agents this registry's claim, or take it away, and tell what nodes say. Raises nothing.

        Nothing else waits for nodes, so what goes wrong here is a condition too.
        """
        claim: Claim | None = planned.facts.get("node-trust")
        key = situation.registry.key
        if not self._settings.node_trust_hosts:
            return Answer((), float(self._settings.resync))
        try:
            with self._lock:
                return self._asked(situation, claim)
        except KubeError as wrong:
            text = f"the agents' Secret or ConfigMap cannot be reached: {wrong.message}"
            found = () if claim is None else (Condition(CONDITION, None, "Unknown", text),)
            return Answer(found, self._wait(key, text))

    def forget(self, key: Key) -> None:
        """A registry that is gone."""
        self._patience.pop(key, None)
        self._looked.discard(key)
        if self._seen is None or _place(key) in self._seen.claims:
            self.tidy()

    def tidy(self) -> None:
        """Take away claims of registries that are gone; what goes wrong is left to the next time."""
        if not self._settings.node_trust_hosts:
            return
        try:
            with self._lock:
                self._hurry(self._write(self._look(), None, None))
        except KubeError as wrong:
            _log.warning("claims are not looked through: %s", wrong.message)

    def _asked(self, situation: Situation, claim: Claim | None) -> Answer:
        key = situation.registry.key
        self._looked.add(key)
        known = self._seen
        if claim is None and known and _place(key) not in known.claims and COMPLETE in known.claims:
            return Answer((), float(self._settings.resync))
        others = rivals(situation, claim.host, self._cache.registries()) if claim else []
        seen = self._write(self._look(), key, None if others else claim, others)
        self._hurry(seen)
        if claim is None:
            return Answer((), float(self._settings.resync))
        if others:
            named = ", ".join("/".join(each) for each in others[:3])
            text = f"{named} asks for {claim.host}, too, so nodes trust neither: change one of them"
            return Answer((Condition(CONDITION, False, "HostConflict", text),), self._wait(key, text))
        if situation.registry.mode == "Hibernated":
            text = "nobody can try it while the pods are stopped; nodes keep what they have"
            return Answer((Condition(CONDITION, None, "Hibernated", text),), float(self._settings.resync))
        return self._folded(key, claim, seen)

    def _folded(self, key: Key, claim: Claim, seen: _Seen) -> Answer:
        found: Told = folded(claim, seen.pods, seen.told())
        self._drop_reports(seen)
        wait = _REST if found.settled else self._wait(key, found.condition.message)
        if found.settled:
            self._patience.pop(key, None)
        return Answer((found.condition,), wait, {"nodes": found.nodes, "trusted": found.trusted})

    def _wait(self, key: Key, message: str) -> float:
        """Longer each time while nothing changes."""
        known = self._patience.get(key)
        faults = known.faults + 1 if known and known.message == message else 1
        self._patience[key] = _Patience(message, faults)
        return min(_FIRST * 2.0 ** min(faults - 1, 8), _LONGEST)

    def _look(self) -> _Seen:
        """Raises KubeError, also when there is nothing to read."""
        if self._seen and self._clock() - self._seen.at < max(_FRESH, _FRESH_BY_NODE * len(self._seen.pods)):
            return self._seen
        namespace, name = self._settings.namespace, self._settings.node_trust_name
        secret, reports = (self._kube.get(kind, namespace, name) for kind in (_SECRET, _REPORTS))
        if secret is None or reports is None:
            self._seen = None
            text = f"Secret and ConfigMap {name} are not both in namespace {namespace}: upgrade the chart's release"
            raise KubeError(text)
        pods = [_lean(each) for each in self._kube.every(api.POD, namespace, f"{api.AGENT}={name}")]
        self._seen = _Seen(self._clock(), _typed(secret, "Secret"), _typed(reports, "ConfigMap"), pods)
        return self._seen

    def _write(self, seen: _Seen, key: Key | None, claim: Claim | None, others: Iterable[Key] = ()) -> _Seen:
        """The claim of this key as it shall be, none of others or of who is gone, and the mark of completeness."""
        known, registries = seen.claims, self._cache.registries()
        living = {_place((each["metadata"]["namespace"], api.name_of(each))) for each in registries}
        replaced = {_place(each) for each in (*others, *([key] if key else []))}
        wanted = {name: text for name, text in known.items() if name in {*living, COMPLETE} - replaced}
        if key is not None and claim is not None:
            wanted[_place(key)] = claim.text()
        if self._has_looked_at(registries):
            wanted[COMPLETE] = "true"
        if wanted == known:
            return seen
        gone: dict[str, Any] = dict.fromkeys(known.keys() - wanted.keys())
        patch = {"data": encoded({name: text for name, text in wanted.items() if known.get(name) != text}) | gone}
        self._seen = None  # whatever comes of it, it is read anew
        written = self._kube.amend(seen.secret, patch)
        self._seen = _Seen(seen.at, _typed(written, "Secret"), seen.reports, seen.pods)
        return self._seen

    def _has_looked_at(self, registries: Iterable[Manifest]) -> bool:
        """Whether each that asks has had its turn since this process began."""
        asking = {
            (each["metadata"]["namespace"], api.name_of(each))
            for each in registries
            if each["spec"].get("nodeTrust", {}).get("enabled")
        }
        return asking <= self._looked or self._clock() - self._began > _PATIENCE

    def _hurry(self, seen: _Seen) -> None:
        """A kubelet looks after its pod's Secrets at once when the pod changes, and within a minute otherwise."""
        mark = sha256(json.dumps(seen.claims, sort_keys=True).encode()).hexdigest()[:16]
        for number, pod in enumerate(seen.pods):
            if api.annotations_of(pod).get(api.SECRETS_HASH) == mark or pod["metadata"].get("deletionTimestamp"):
                continue
            try:
                seen.pods[number] = _lean(self._kube.annotate(pod, {api.SECRETS_HASH: mark}))
            except Refused as refused:
                if refused.status not in {404, 409}:
                    raise

    def _drop_reports(self, seen: _Seen) -> None:
        """Of nodes that have no agent any more."""
        held = {pod["spec"]["nodeName"] for pod in seen.pods}
        gone: dict[str, Any] = dict.fromkeys(node for node in seen.told() if node not in held)
        if not gone:
            return
        try:
            self._kube.amend(seen.reports, {"data": gone})
        except Refused as refused:
            if not refused.conflict:  # an agent has just reported: the next look does it
                raise
        self._seen = None


def _place(key: Key) -> str:
    """Neither part has a dot."""
    return ".".join(key)


def _typed(manifest: Manifest, kind: str) -> Manifest:
    return {**manifest, "apiVersion": "v1", "kind": kind}


def _lean(pod: Manifest) -> Manifest:
    """What is looked at, of what may be thousands."""
    meta, status = pod["metadata"], pod.get("status") or {}
    kept = ("name", "namespace", "uid", "annotations", "deletionTimestamp")
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {key: meta[key] for key in kept if key in meta},
        "spec": {"nodeName": pod["spec"].get("nodeName")},
        "status": {key: status[key] for key in ("conditions", "containerStatuses") if key in status},
    }
