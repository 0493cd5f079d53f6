"""Make the cluster hold what the plan says, with no more requests than that takes."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

from pier_operator import api, metrics
from pier_operator.api import Manifest
from pier_operator.cache import Cache
from pier_operator.contest import Contests
from pier_operator.kube import Kube, Refused
from pier_operator.plan.child import Child, Condition, Plan
from pier_operator.quantity import amount
from pier_operator.spec import Registry

_KEYS: Final = ("mountPath", "uid", "name", "containerPort")

_log = logging.getLogger("pier.apply")


class Changed(Exception):
    """An object is not as it was seen, so the plan has to be made anew."""


@dataclass(slots=True)
class Outcome:
    """What applying has shown. `writes` names every request that changed something, `refused` what was not taken."""

    writes: list[str] = field(default_factory=list)
    refused: list[Condition] = field(default_factory=list)
    contested: list[Condition] = field(default_factory=list)


class Applier:
    """Carries out the plan of one registry."""

    def __init__(self, kube: Kube, cache: Cache, contests: Contests, registry: Registry) -> None:
        self._contests = contests
        self._kube = kube
        self._cache = cache
        self._registry = registry
        self._outcome = Outcome()

    def apply(self, plan: Plan) -> Outcome:
        """Raises Changed, KubeError; a child that the API server refuses for good becomes a condition instead."""
        live = self._cache.children(self._registry.key)
        for child in plan.children:
            try:
                self._keep(child, live.get(child.key))
            except Refused as refused:
                if not refused.invalid:
                    raise
                self._refused(child, refused)
        if not self._outcome.refused:
            self._prune(plan, live)
        return self._outcome

    def _keep(self, child: Child, live: Manifest | None) -> None:
        if live is None:
            live = self._adopt(child)
        if live is None:
            self._create(child)
        elif api.controller_of(live) not in {"", self._registry.uid}:
            self._conflict(child, f"belongs to another owner ({api.controller_of(live)})")
        elif child.kept:
            self._amend(child, live)
        elif not child.once:
            self._repair(child, live)

    def _adopt(self, child: Child) -> Manifest | None:
        """What is there though no watch has told of it: ours of before, or somebody else's."""
        if not child.gate:
            return None
        found = self._kube.get(api.KINDS[child.kind], self._registry.namespace, child.name)
        if found is None:
            return None
        if api.labels_of(found).get(api.REGISTRY) != self._registry.name:
            self._conflict(child, "is not this registry's")
        self._cache.put(found)
        raise Changed

    def _create(self, child: Child) -> None:
        if not child.gate:
            return
        if child.kept or child.once:
            try:
                self._wrote(child, "create", self._kube.create(_marked(child)))
            except Refused as refused:
                if refused.conflict and not refused.terminating:
                    raise Changed from None
                raise
        else:
            self._wrote(child, "create", self._kube.apply(_marked(child)))

    def _repair(self, child: Child, live: Manifest) -> None:
        """Applied again only when the plan has changed or the object has: at rest nothing is written."""
        same_plan = api.annotations_of(live).get(api.APPLIED) == digest(child.manifest)
        if same_plan and is_within(child.manifest, live):
            return
        if not child.gate and not same_plan:
            return
        place = (self._registry.namespace, child.kind, child.name)
        if same_plan and not self._contests.may_repair(place):
            self._outcome.contested.append(self._contested(child))
            return
        self._wrote(child, "apply", self._kube.apply(_marked(child)))

    def _contested(self, child: Child) -> Condition:
        live = self._kube.get(api.KINDS[child.kind], self._registry.namespace, child.name) or {"metadata": {}}
        others = [each for each in live["metadata"].get("managedFields", []) if each["manager"] != api.MANAGER]
        last = max(others, key=lambda each: str(each.get("time", "")), default={"manager": "somebody"})
        text = (
            f"{child.kind} {child.name} is changed again and again by {last['manager']}: it is left alone for ten "
            "minutes; make one of the two stop"
        )
        return Condition("Contested", True, "ContestedField", text)

    def _amend(self, child: Child, live: Manifest) -> None:
        """Only what differs, and only if nobody else has changed it meanwhile."""
        patch = _difference(child.manifest, live)
        if not patch:
            return
        try:
            self._wrote(child, "amend", self._kube.amend(live, patch))
        except Refused as refused:
            if not refused.conflict:
                raise
            self._see_anew(child)
            raise Changed from None

    def _prune(self, plan: Plan, live: Mapping[tuple[str, str], Manifest]) -> None:
        """What this registry has made and no longer wants; never what outlives it, never what is another's."""
        wanted = plan.wanted()
        for key, manifest in live.items():
            mine = api.labels_of(manifest).get(api.OWNER_UID) == self._registry.uid
            controlled = api.controller_of(manifest) == self._registry.uid
            gone = manifest["metadata"].get("deletionTimestamp")
            if key in wanted or not mine or not controlled or gone or manifest["kind"] == "PersistentVolumeClaim":
                continue
            try:
                self._kube.delete(manifest)
            except Refused as refused:
                if not refused.conflict:
                    raise
                raise Changed from None
            self._cache.removed(manifest)
            self._note(manifest["kind"], "delete", manifest["metadata"]["name"])

    def _see_anew(self, child: Child) -> None:
        found = self._kube.get(api.KINDS[child.kind], self._registry.namespace, child.name)
        if found is not None:
            self._cache.put(found)

    def _wrote(self, child: Child, verb: str, answer: Manifest) -> None:
        self._cache.wrote(answer)
        self._note(child.kind, verb, child.name)

    def _note(self, kind: str, verb: str, name: str) -> None:
        metrics.WRITES.labels(kind, verb).inc()
        self._outcome.writes.append(f"{verb} {kind} {name}")
        _log.info("%s %s %s/%s", verb, kind, self._registry.namespace, name)

    def _conflict(self, child: Child, why: str) -> None:
        text = f"{child.kind} {child.name} {why}: remove it, or give this registry another name"
        raise NameConflict(Condition("SpecValid", False, "NameConflict", text))

    def _refused(self, child: Child, refused: Refused) -> None:
        text = f"{child.kind} {child.name} was refused: {refused.message}"
        self._outcome.refused.append(Condition("SpecValid", False, "Refused", text))


class NameConflict(Exception):
    """A name is taken; nothing is changed, neither of ours nor of theirs."""

    def __init__(self, condition: Condition) -> None:
        super().__init__(condition.message)
        self.condition = condition


def digest(manifest: Manifest) -> str:
    """Of a planned manifest; the annotation that tells it is not part of it."""
    return sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()[:16]


def is_within(planned: Any, live: Any, *, quantities: bool = False) -> bool:
    """Whether the live value holds everything that is planned; it may hold more."""
    if isinstance(planned, dict):
        held = live if isinstance(live, dict) else {}
        return all(
            is_within(value, held.get(key), quantities=quantities or key in {"requests", "limits"})
            for key, value in planned.items()
        )
    if isinstance(planned, list):
        return _list_is_within(planned, live if isinstance(live, list) else [])
    if quantities and live is not None:
        return str(planned) == str(live) or amount(str(planned)) == amount(str(live))
    return bool(planned == live) or (planned in ("", False, 0) and live is None)


def _list_is_within(planned: list[Any], live: list[Any]) -> bool:
    key = next((key for key in _KEYS if planned and all(isinstance(e, dict) and key in e for e in planned)), "")
    if not key:
        return len(planned) == len(live) and all(map(is_within, planned, live))
    by_key = {each.get(key): each for each in live if isinstance(each, dict)}
    return all(is_within(each, by_key.get(each[key])) for each in planned)


def _marked(child: Child) -> Manifest:
    """The manifest with the annotation by which the next look knows what was applied."""
    meta = child.manifest["metadata"]
    if child.kept or child.once:
        return child.manifest
    annotations = {**meta.get("annotations", {}), api.APPLIED: digest(child.manifest)}
    return {**child.manifest, "metadata": {**meta, "annotations": annotations}}


def _difference(planned: Manifest, live: Manifest) -> Manifest:
    """A merge patch of data, labels and owner; empty when nothing differs."""
    patch: Manifest = {}
    data, held = planned.get("data", {}), live.get("data") or {}
    changed = {key: data.get(key) for key in (*data, *held) if data.get(key) != held.get(key)}
    if changed:
        patch["data"] = changed
    meta: Manifest = {}
    labels = planned["metadata"]["labels"]
    if not is_within(labels, api.labels_of(live)):
        meta["labels"] = labels
    owners = planned["metadata"].get("ownerReferences", [])
    if bool(owners) != bool(live["metadata"].get("ownerReferences")):
        meta["ownerReferences"] = owners or None
    if meta:
        patch["metadata"] = meta
    return patch
