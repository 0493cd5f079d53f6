"""Volume claims: made once, grown on request, never shrunk."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from pier_operator.api import Manifest
from pier_operator.plan.child import Child, Condition, Plan, Situation, manifest
from pier_operator.quantity import amount
from pier_operator.spec import Volume

READY: Final = "StorageReady"


def claim(situation: Situation, name: str, volume: Volume) -> Plan:
    """The claim, with the size asked for or the one it has, whichever is more."""
    live = situation.observed.child("PersistentVolumeClaim", name)
    size = _size(live, volume)
    spec: Manifest = {"accessModes": [volume.access_mode], "resources": {"requests": {"storage": size}}}
    if volume.storage_class is not None:
        spec["storageClassName"] = volume.storage_class
    child = Child(manifest("PersistentVolumeClaim", name, spec=spec), retained=True)
    return Plan((child,), tuple(_trouble(name, live, volume)))


def storage(situation: Situation) -> Plan:
    """The volume of the layers: the user's claim, or NAME-data."""
    volume = situation.registry.storage
    if volume.existing_claim:
        text = f"claim {volume.existing_claim} is used as it is"
        return Plan(conditions=(Condition(READY, True, "Given", text),), facts={"claim": volume.existing_claim})
    name = situation.named("data")
    planned = claim(situation, name, volume)
    live = situation.observed.child("PersistentVolumeClaim", name)
    capacity = ((live or {}).get("status") or {}).get("capacity", {}).get("storage", "")
    conditions = planned.conditions or (_condition(name, live),)
    return Plan(planned.children, conditions, facts={"claim": name, "capacity": capacity})


def is_idle(situation: Situation) -> bool:
    """Whether no registry pod runs any more."""
    pods = situation.observed.child("Deployment", situation.named())
    status = (pods or {}).get("status") or {}
    return pods is None or (pods["spec"].get("replicas") == 0 and not status.get("replicas"))


def _size(live: Manifest | None, volume: Volume) -> str:
    if live is None:
        return volume.size
    held = str(live["spec"]["resources"]["requests"]["storage"])
    return held if _bytes(held) > _bytes(volume.size) else volume.size


def _bytes(size: str) -> Decimal:
    return amount(size) or Decimal(0)


def _trouble(name: str, live: Manifest | None, volume: Volume) -> list[Condition]:
    if live is None:
        return []
    held = str(live["spec"]["resources"]["requests"]["storage"])
    if live["metadata"].get("deletionTimestamp"):
        text = f"claim {name} is being deleted, and its data goes with the last pod that uses it: back it up now"
        return [Condition(READY, False, "ClaimDeleted", text)]
    if _bytes(held) > _bytes(volume.size):
        text = f"size may not shrink: claim {name} has {held} and {volume.size} was asked for"
        return [Condition(READY, False, "ShrinkRefused", text)]
    return []


def _condition(name: str, live: Manifest | None) -> Condition:
    status = (live or {}).get("status") or {}
    if status.get("phase") == "Bound":
        return Condition(READY, True, "Bound", f"claim {name} has a volume")
    if status.get("phase") == "Lost":
        return Condition(READY, False, "VolumeLost", f"the volume of claim {name} is gone: restore it from a backup")
    wanted = (live or {}).get("spec", {}).get("storageClassName")
    kind = f"of StorageClass {wanted}" if wanted else "of the default StorageClass"
    text = f"claim {name} waits for a volume {kind}: when that lasts, see whether there is one, and the claim's events"
    return Condition(READY, False, "Waiting", text)
