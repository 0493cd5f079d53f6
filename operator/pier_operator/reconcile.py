"""The single road: observe, plan, apply, report. Everything that the operator does for a registry happens here."""

from __future__ import annotations

import contextlib
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from prometheus_client import Gauge

from pier_operator import api, metrics, probing
from pier_operator.agents import Agents
from pier_operator.api import Manifest
from pier_operator.apply import Applier, Changed, NameConflict, Outcome
from pier_operator.cache import Cache, Key
from pier_operator.contest import Contests
from pier_operator.kube import Kube, Refused
from pier_operator.observed import Observed
from pier_operator.plan import exposure, plan, status
from pier_operator.plan.child import Chance, Condition, Plan, Situation
from pier_operator.plan.server import PRIVATE
from pier_operator.probe import REACHABLE, Prober, figures
from pier_operator.report import Reporter
from pier_operator.settings import Settings
from pier_operator.spec import Registry, parse

_ROUNDS: Final = 6
_SOON: Final = 30.0  # seconds until what the API server has refused is tried again

_log = logging.getLogger("pier.reconcile")


class Discovery:
    """Which optional kinds the cluster knows; asked anew every ten minutes."""

    def __init__(self, kube: Kube, clock: Callable[[], float] = time.monotonic) -> None:
        self._kube = kube
        self._clock = clock
        self._until = 0.0
        self._known: frozenset[str] = frozenset()

    def kinds(self) -> frozenset[str]:
        """Raises KubeError."""
        if self._clock() >= self._until:
            self._known = frozenset(kind.name for kind in api.OPTIONAL if self._kube.knows(kind))
            self._until = self._clock() + 600
        return self._known


@dataclass(slots=True)
class Reconciler:
    """One for the process; each registry is worked on by one thread at a time."""

    kube: Kube
    cache: Cache
    settings: Settings
    chance: Chance
    prober: Prober = field(default_factory=Prober)
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    contests: Contests = field(default_factory=Contests)
    discovery: Discovery = field(init=False)
    reporter: Reporter = field(init=False)
    agents: Agents = field(init=False)

    def __post_init__(self) -> None:
        self.discovery = Discovery(self.kube)
        self.reporter = Reporter(self.kube, self.cache)
        self.agents = Agents(self.kube, self.cache, self.settings)

    def reconcile(self, key: Key) -> float | None:
        """Seconds until the next look, None when the registry is gone. Raises KubeError."""
        manifest = self.kube.get(api.PIER_REGISTRY, *key)
        if manifest is None or manifest["metadata"].get("deletionTimestamp"):
            self._forget(key)
            return None
        self.cache.put(manifest)
        try:
            return self._brought_about(manifest)
        except Refused as refused:
            if refused.terminating:
                _log.info("%s/%s: its namespace is being deleted", *key)
                return None
            raise

    def _brought_about(self, manifest: Manifest) -> float:
        try:
            registry = parse(manifest)
        except KeyError as missing:
            return self._unreadable(manifest, f"field {missing} is missing: apply crds/ of this version")
        if registry.paused:
            _forget_measure(metrics.READY, registry.key)
            return self._report(manifest, status.paused(manifest, self._situation(registry)), self.clock())
        try:
            situation, planned, outcome = self._settled(registry)
        except NameConflict as conflict:
            return self._unreadable(manifest, conflict.condition.message, conflict.condition.reason)
        return self._told(manifest, situation, planned, outcome)

    def _settled(self, registry: Registry) -> tuple[Situation, Plan, Outcome]:
        """Plan and apply until a plan finds nothing to do, so that what is told is true."""
        notices: dict[tuple[str, str], None] = {}
        for _ in range(_ROUNDS):
            situation = self._situation(registry)
            planned = plan(situation)
            try:
                outcome = Applier(self.kube, self.cache, self.contests, registry).apply(planned)
                outcome.writes += self._hurry(situation, planned)
            except Changed:
                continue
            notices |= dict.fromkeys(planned.notices)
            if not outcome.writes or outcome.refused:
                return situation, replace(planned, notices=tuple(notices)), outcome
        raise Refused(409, "Contested", f"{registry.name} is changed by others while it is worked on")

    def _situation(self, registry: Registry) -> Situation:
        children = self.cache.children(registry.key)
        pods = tuple(each for (kind, _), each in sorted(children.items()) if kind == api.POD.name)
        observed = Observed(children, self._references(registry), pods, self.discovery.kinds())
        return Situation(registry, observed, self.settings, self.clock(), self.chance)

    def _references(self, registry: Registry) -> dict[str, Manifest]:
        """The user's Secrets: from the watch when they carry its label, else asked for."""
        children = self.cache.children(registry.key)
        secrets = api.KINDS["Secret"]
        found = {
            name: children.get(("Secret", name)) or self.kube.get(secrets, registry.namespace, name)
            for name in registry.referenced_secrets()
        }
        return {name: secret for name, secret in found.items() if secret is not None}

    def _hurry(self, situation: Situation, planned: Plan) -> list[str]:
        """A kubelet looks after its pod's Secrets at once when the pod changes, and within a minute otherwise."""
        mark = f"{planned.facts['users-hash']}-{planned.facts.get('tls', {}).get('fingerprintSHA256', '')[:16]}"
        late = [each for each in registry_pods(situation) if api.annotations_of(each).get(api.SECRETS_HASH) != mark]
        for each in late:
            try:
                self.cache.wrote(self.kube.annotate(each, {api.SECRETS_HASH: mark}))
            except Refused as refused:
                if refused.status not in {404, 409}:
                    raise
                self.cache.drop(each)
        return [f"annotate Pod {api.name_of(each)}" for each in late]

    def _told(self, manifest: Manifest, situation: Situation, planned: Plan, outcome: Outcome) -> float:
        reaches, wait = self._reach(situation, planned)
        pods = self._figures(situation)
        users = _users_active(planned, pods)
        nodes = self.agents.ask(situation, planned)
        told = status.status(
            situation,
            replace(planned, facts={**planned.facts, "node-counts": nodes.counts}),
            (*(outcome.refused or [_valid()]), *outcome.contested, *reaches, *users, *nodes.conditions),
            pods[0] if pods else None,
            manifest.get("status") or {},
        )
        waits = [wait, nodes.wait, self._report(manifest, told, situation.now)]
        self.reporter.tell(manifest, planned.notices, situation.now)
        _measure(situation, planned, told["conditions"][0]["status"] == "True")
        if any(not each.holds for each in users):
            waits.append(1.0)
        if planned.requeue is not None:
            waits.append(max(planned.requeue / timedelta(seconds=1), 1.0))
        return min([*waits, _SOON] if outcome.refused else waits)

    def _report(self, manifest: Manifest, told: Manifest, now: datetime) -> float:
        """Seconds until the next look. An edit that was overtaken by our own write is told by no watch as news."""
        if self.reporter.report(manifest, told, now):
            return 0.0
        return self.settings.resync * random.uniform(0.9, 1.1)  # noqa: S311

    def _reach(self, situation: Situation, planned: Plan) -> tuple[list[Condition], float]:
        """The Service, which Ready waits for; and the host outside, which depends on more than this cluster."""
        address = exposure.address(situation)
        rest = float(self.settings.resync)
        if situation.registry.mode == "Hibernated":
            return [Condition(REACHABLE, False, "Hibernated", "nothing listens while the pods are stopped")], rest
        if not (planned.facts["serving"] and address):
            return [Condition(REACHABLE, False, "Waiting", "a push is tried when a pod is ready")], rest
        answers = [
            self.prober.ask(situation.registry.key, target) for target in probing.targets(situation, planned, address)
        ]
        return [answer.condition for answer in answers], min(answer.wait for answer in answers)

    def _figures(self, situation: Situation) -> list[status.Figures]:
        """Of each pod that is ready and answers."""
        ready = [each["status"]["podIP"] for each in registry_pods(situation) if is_ready(each)]
        return [told for told in (figures(address, PRIVATE) for address in ready) if told]

    def _unreadable(self, manifest: Manifest, message: str, reason: str = "Unreadable") -> float:
        """The status of before, with what is wrong; what runs goes on."""
        before = manifest.get("status") or {}
        troubled = [Condition(kind, False, reason, message) for kind in ("Ready", "SpecValid")]
        stalled = Condition("Stalled", True, reason, message)
        others = [
            each for each in before.get("conditions", []) if each["type"] not in {"Ready", "SpecValid", "Stalled"}
        ]
        meta, now = manifest["metadata"], self.clock()
        stamped = status.stamped([*troubled, stalled], meta["generation"], now, before)
        wait = self._report(manifest, {**before, "conditions": [*stamped, *others]}, now)
        metrics.READY.labels(meta["namespace"], meta["name"]).set(0)
        return min(wait, _SOON)

    def _forget(self, key: Key) -> None:
        self.cache.forget(key)
        self.prober.forget(key)
        self.reporter.forget(key)
        self.agents.forget(key)
        for gauge in (metrics.CERTIFICATE, metrics.READY):
            _forget_measure(gauge, key)


def registry_pods(situation: Situation) -> list[Manifest]:
    """Pods that serve or will, not those that are on their way out."""
    return [
        each
        for each in situation.observed.pods
        if api.labels_of(each).get("app.kubernetes.io/component") == "registry"
        and not each["metadata"].get("deletionTimestamp")
    ]


def is_ready(pod: Manifest) -> bool:
    held = pod.get("status") or {}
    conditions = {each["type"]: each["status"] for each in held.get("conditions", [])}
    return bool(held.get("podIP")) and conditions.get("Ready") == "True"


def _users_active(planned: Plan, pods: list[status.Figures]) -> list[Condition]:
    """Nothing is told while no pod answers."""
    if not pods:
        return []
    late = sum(each.users != planned.facts["users-loaded"] for each in pods)
    if late:
        text = f"{late} of {len(pods)} pods go by the users of before; a kubelet brings the new ones within a minute"
        return [Condition("UsersActive", False, "Spreading", text)]
    return [Condition("UsersActive", True, "Active", "every pod goes by the users of this resource")]


def _valid() -> Condition:
    return Condition("SpecValid", True, "Accepted", "the spec can be carried out")


def _measure(situation: Situation, planned: Plan, ready: bool) -> None:
    """A registry that sleeps as asked for is not one that is broken, so whether it is ready is not told."""
    if situation.registry.mode == "Hibernated":
        _forget_measure(metrics.READY, situation.registry.key)
    else:
        metrics.READY.labels(*situation.registry.key).set(int(ready))
    ends = planned.facts.get("tls", {}).get("notAfter")
    if ends:
        metrics.CERTIFICATE.labels(*situation.registry.key).set(datetime.fromisoformat(ends).timestamp())


def _forget_measure(gauge: Gauge, key: Key) -> None:
    with contextlib.suppress(KeyError):
        gauge.remove(*key)
