"""What the resource tells of itself: conditions in their usual form, and where to find what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pier_operator import __version__, api
from pier_operator.plan import labels
from pier_operator.plan.child import Condition, Plan, Situation
from pier_operator.plan.pki import moment
from pier_operator.quantity import amount

# Those that Ready waits for, in the order in which a registry comes up.
PARTS: Final = (
    "SpecValid",
    "CredentialsReady",
    "CertificateReady",
    "StorageReady",
    "DatabaseReady",
    "SchemaMigrated",
    "RegistryAvailable",
    "ProxyAvailable",
    "Exposed",
    "EndpointReachable",
)
# Reasons that time alone does not mend.
_STUCK: Final = frozenset(
    {
        "NameConflict", "SecretMissing", "PasswordInvalid", "KeyMismatch", "ChainBroken", "Expired", "NameMissing",
        "CertManagerMissing", "GatewayMissing", "RouteRefused", "ShrinkRefused", "VolumeLost",
        "ClaimDeleted", "Refused",
    }
)  # fmt: skip
SPACE: Final = "SpaceAvailable"
_LOW: Final = 0.15  # of the volume, as in the alert
# Troubles of a part that do not keep the registry from serving.
_TOLERATED: Final = frozenset({("CredentialsReady", "SecretMissing"), ("CredentialsReady", "PasswordInvalid")})


@dataclass(frozen=True, slots=True)
class Figures:
    """What a registry pod tells of itself: bytes, and the SHA-256 of the users file that is in force there."""

    used: int
    reclaimed: int
    pending: int
    free: int
    users: str = ""


def status(
    situation: Situation, plan: Plan, found: Iterable[Condition], figures: Figures | None, before: Mapping[str, Any]
) -> dict[str, Any]:
    """`found` are conditions beside those of the plan: what applying and probing have shown."""
    parts = _worst((*plan.conditions, *found, _space(situation, plan.facts, figures)))
    conditions = [_ready(situation, parts), *_progress(situation, parts), *parts.values()]
    facts, names = plan.facts, plan.facts["names"]
    pods = (situation.observed.child("Deployment", situation.named()) or {}).get("status") or {}
    told = {
        "observedGeneration": situation.registry.generation,
        "phase": _phase(situation, conditions[0], parts),
        "conditions": stamped(conditions, situation.registry.generation, situation.now, before),
        "endpoint": names.endpoint,
        "url": f"https://{names.endpoint}",
        "internalEndpoint": names.inside,
        "version": __version__,
        "deletionPolicy": "Retain" if situation.registry.retain else "Delete",
        "replicas": pods.get("replicas", 0),
        "readyReplicas": pods.get("readyReplicas", 0),
        "selector": ",".join(f"{k}={v}" for k, v in labels.selector(situation.registry, "registry").items()),
        "tls": _tls(situation, facts),
        "auth": _auth(situation, plan),
        "database": {"endpoint": facts["database-endpoint"], "secretName": facts.get("database-secret", "")},
        "storage": _storage(facts, figures),
        "migration": {"jobName": facts["migration-job"]},
        "nodeTrust": dict(facts.get("node-counts", {})),
    }
    return {key: value for key, value in told.items() if value not in ("", {})}


def stamped(
    conditions: Iterable[Condition], generation: int, now: datetime, before: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """In metav1 form; the time is that of the last change of the status, not of the text."""
    known = {each["type"]: each for each in before.get("conditions", [])}
    return [_condition(each, generation, now, known.get(each.type)) for each in conditions]


def _condition(each: Condition, generation: int, now: datetime, before: Mapping[str, Any] | None) -> dict[str, Any]:
    holds = "Unknown" if each.holds is None else str(each.holds)
    when = moment(now) if before is None or before["status"] != holds else before["lastTransitionTime"]
    return {
        "type": each.type,
        "status": holds,
        "reason": each.reason,
        "message": each.message[:1024],
        "lastTransitionTime": when,
        "observedGeneration": generation,
    }


def _worst(conditions: Iterable[Condition]) -> dict[str, Condition]:
    """One of each type, in the order of PARTS: the first that does not hold, else the last that does."""
    worst: dict[str, Condition] = {}
    for each in conditions:
        known = worst.get(each.type)
        if known is None or known.holds is True:
            worst[each.type] = each
    order = {kind: place for place, kind in enumerate(PARTS)}
    return dict(sorted(worst.items(), key=lambda pair: order.get(pair[0], len(order))))


def _ready(situation: Situation, parts: Mapping[str, Condition]) -> Condition:
    if situation.registry.mode == "Hibernated":
        text = "the pods are stopped and all data is kept: mode Active brings the registry back"
        return Condition("Ready", False, "Hibernated", text)
    for kind in PARTS:
        part = parts.get(kind)
        if part and part.holds is not True and (kind, part.reason) not in _TOLERATED:
            return Condition("Ready", False, part.reason, part.message)
    return Condition("Ready", True, "Ready", "a push through the front door works")


def _progress(situation: Situation, parts: Mapping[str, Condition]) -> tuple[Condition, Condition]:
    """The pair that `kubectl wait` and GitOps tools understand: both are false when all is well."""
    gating = [each for kind, each in parts.items() if kind in PARTS]
    stuck = next((each for each in gating if each.holds is False and each.reason in _STUCK), None)
    moving = next((each for each in gating if each.holds is not True), None)
    rolling = parts.get("RegistryAvailable")
    if rolling and rolling.reason == "RollingOut":
        moving = rolling
    stalled = Condition(
        "Stalled", bool(stuck), stuck.reason if stuck else "Fine", stuck.message if stuck else "nothing is stuck"
    )
    if situation.registry.mode == "Hibernated" or moving is None:
        return Condition("Reconciling", False, "Settled", "all is as asked for"), stalled
    return Condition("Reconciling", True, moving.reason, moving.message), stalled


def _phase(situation: Situation, ready: Condition, parts: Mapping[str, Condition]) -> str:
    """For people to read; nothing reads it back."""
    if situation.registry.mode == "Hibernated":
        return "Hibernated"
    if ready.holds:
        return "Running"
    if parts["RegistryAvailable"].holds:
        return "Degraded"
    return "Migrating" if parts["SchemaMigrated"].reason == "Migrating" else "Provisioning"


def _tls(situation: Situation, facts: Mapping[str, Any]) -> dict[str, Any]:
    told = {
        "source": situation.registry.tls.source,
        "secretName": situation.registry.tls.secret or situation.named("tls"),
        "caConfigMap": "" if situation.registry.expose.type == "Gateway" else facts.get("ca-config-map", ""),
        **facts.get("tls", {}),
    }
    return {key: value for key, value in told.items() if value}


def _auth(situation: Situation, plan: Plan) -> dict[str, Any]:
    told = {"users": plan.facts["users"], "adminSecretName": situation.named("admin")}
    if ("Secret", situation.named("pull")) in plan.wanted():
        told["pullSecretName"] = situation.named("pull")
    return told


def _storage(facts: Mapping[str, Any], figures: Figures | None) -> dict[str, Any]:
    told: dict[str, Any] = {"capacity": facts["capacity"]} if facts.get("capacity") else {}
    if figures:
        told |= {
            "usedBytes": figures.used,
            "reclaimedBytes": figures.reclaimed,
            "pendingBytes": figures.pending,
            "freeBytes": figures.free,
        }
    return told


def _space(situation: Situation, facts: Mapping[str, Any], figures: Figures | None) -> Condition:
    """Gates nothing: pulls and deletes go on while a volume is full."""
    if figures is None:
        return Condition(SPACE, None, "NotTold", "no pod tells how much of the volume is free")
    whole = int(amount(facts.get("capacity", "")) or 0) or figures.free + figures.used
    share = figures.free / max(whole, 1)
    if share >= _LOW:
        return Condition(SPACE, True, "Enough", "the volume has room for pushes")
    text = (
        f"{share:.0%} of the volume of claim {facts.get('claim', situation.named('data'))} is free, and pushes are "
        "refused before it is full: delete tags, which works on a full volume too, or give it a larger size"
    )
    return Condition(SPACE, False, "VolumeNearlyFull", text)


def paused(manifest: api.Manifest, situation: Situation) -> dict[str, Any]:
    """The status of before, with a word about the pause."""
    before = manifest.get("status") or {}
    told = Condition("Paused", True, "Asked", "the operator changes nothing while spec.paused is true")
    others = [each for each in before.get("conditions", []) if each["type"] != "Paused"]
    return {
        **before,
        "phase": "Paused",
        "conditions": [*others, *stamped([told], situation.registry.generation, situation.now, before)],
    }
