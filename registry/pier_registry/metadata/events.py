"""What was done, by whom: the audit trail, folded into one row per action once it is old."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, func, select

from pier_registry.metadata.schema import event
from pier_registry.metadata.session import Transaction

FOLDED = "#folded"


@dataclass(frozen=True, slots=True)
class Event:
    at: int
    user: str
    action: str
    repository: str | None
    reference: str | None
    freed: int


def add(
    tx: Transaction,
    user: str,
    action: str,
    *,
    repository: str | None = None,
    reference: str | None = None,
    freed: int = 0,
) -> None:
    values: dict[str, Any] = {"at": tx.now, "user": user, "action": action, "freed": freed}
    tx.run(event.insert().values(repository=repository, reference=reference, **values))


def fold(tx: Transaction, before: int) -> None:
    """Replace events older than `before` (ms) by one row that keeps the sum of the bytes they freed."""
    old = event.c.at < before
    freed = int(tx.run(select(func.coalesce(func.sum(event.c.freed), 0)).where(old)).scalar_one())
    if tx.run(delete(event).where(old)).rowcount and freed:
        add(tx, FOLDED, "folded", freed=freed)


def latest(tx: Transaction, count: int) -> list[Event]:
    rows = tx.run(select(event).order_by(event.c.id.desc()).limit(count))
    return [Event(row.at, row.user, row.action, row.repository, row.reference, row.freed) for row in rows]


def freed_bytes(tx: Transaction) -> int:
    return int(tx.run(select(func.coalesce(func.sum(event.c.freed), 0))).scalar_one())
