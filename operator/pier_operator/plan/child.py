"""The words of a plan: children, conditions, and what a plan may look at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from cryptography.hazmat.primitives.asymmetric import ec

from pier_operator.api import KINDS, Manifest, name_of
from pier_operator.observed import Observed, encoded
from pier_operator.settings import Settings
from pier_operator.spec import Registry


class Chance(Protocol):
    """Where randomness comes from."""

    def password(self) -> str: ...

    def key(self) -> ec.EllipticCurvePrivateKey: ...

    def serial(self) -> int: ...

    def hashed(self, password: str, known: str) -> str:
        """A bcrypt hash of the password: the known one when it fits."""


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything that a plan is made from."""

    registry: Registry
    observed: Observed
    settings: Settings
    now: datetime
    chance: Chance

    def named(self, suffix: str = "") -> str:
        return f"{self.registry.name}-{suffix}" if suffix else self.registry.name


@dataclass(frozen=True, slots=True)
class Child:
    """An object to make and keep.

    `kept` holds what cannot be made again: it is created once, and changed only as it was last seen.
    `retained` outlives the registry under deletionPolicy Retain. What is made `once` is never changed afterwards. A
    child behind a closed `gate` is neither made nor changed.
    """

    manifest: Manifest
    kept: bool = False
    retained: bool = False
    once: bool = False
    gate: bool = True

    @property
    def kind(self) -> str:
        return str(self.manifest["kind"])

    @property
    def name(self) -> str:
        return name_of(self.manifest)

    @property
    def key(self) -> tuple[str, str]:
        return self.kind, self.name


@dataclass(frozen=True, slots=True)
class Condition:
    """`holds` None is Unknown."""

    type: str
    holds: bool | None
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What shall be, in the order in which it is made. `requeue` is when to look again, without an event.

    `notices` are reasons and sentences of what was lost and is made anew: worth an event, once.
    """

    children: tuple[Child, ...] = ()
    conditions: tuple[Condition, ...] = ()
    requeue: timedelta | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    notices: tuple[tuple[str, str], ...] = ()

    def wanted(self) -> set[tuple[str, str]]:
        return {child.key for child in self.children}

    def condition(self, kind: str) -> Condition | None:
        return next((each for each in self.conditions if each.type == kind), None)


def together(plans: Iterable[Plan]) -> Plan:
    """One after the other; the earliest requeue counts."""
    every = list(plans)
    waits = [each.requeue for each in every if each.requeue is not None]
    return Plan(
        children=tuple(child for each in every for child in each.children),
        conditions=tuple(condition for each in every for condition in each.conditions),
        requeue=min(waits, default=None),
        facts={key: value for each in every for key, value in each.facts.items()},
        notices=tuple(notice for each in every for notice in each.notices),
    )


def manifest(kind: str, name: str, **body: Any) -> Manifest:
    """Labels, namespace and owner are put on later, on all children alike."""
    return {"apiVersion": KINDS[kind].api_version, "kind": kind, "metadata": {"name": name}, **body}


def secret(name: str, texts: Mapping[str, str], kind: str = "Opaque") -> Manifest:
    return manifest("Secret", name, type=kind, data=encoded(texts))
