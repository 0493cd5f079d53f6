"""Files to remove: written in the transaction that forgets them, settled after they are gone.

A crash in between leaves the row; whoever works the outbox next removes the file then. The first try belongs to
the request that wrote the row, so others leave it alone for GRACE.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from sqlalchemy import delete, func, select, update

from pier_registry.metadata.schema import outbox
from pier_registry.metadata.session import Transaction, inserted_id
from pier_registry.names import Digest, layer_path

GRACE: Final = 30_000
_SLOWEST: Final = 3_600_000


@dataclass(frozen=True, slots=True)
class Removal:
    id: int
    path: str
    size: int
    attempts: int


def add(tx: Transaction, path: str, size: int) -> int:
    row = tx.run(outbox.insert().values(path=path, size=size, not_before=tx.now + GRACE))
    return inserted_id(row)


def add_layer(tx: Transaction, digest: Digest, generation: str, size: int) -> int:
    return add(tx, layer_path(digest, generation), size)


def due(tx: Transaction, count: int) -> list[Removal]:
    rows = tx.run(
        select(outbox.c.id, outbox.c.path, outbox.c.size, outbox.c.attempts)
        .where(outbox.c.not_before <= tx.now)
        .order_by(outbox.c.id)
        .limit(count)
    )
    return [Removal(row.id, row.path, row.size, row.attempts) for row in rows]


def settle(tx: Transaction, ids: Collection[int]) -> None:
    if ids:
        tx.run(delete(outbox).where(outbox.c.id.in_(sorted(ids))))


def put_off(tx: Transaction, removal: Removal) -> None:
    """Try again later, each time twice as late."""
    wait = min(GRACE * 2**removal.attempts, _SLOWEST)
    values = {"not_before": tx.now + wait, "attempts": removal.attempts + 1}
    tx.run(update(outbox).where(outbox.c.id == removal.id).values(values))


def waiting(tx: Transaction) -> tuple[int, int]:
    """Rows and bytes still to be removed."""
    total = func.coalesce(func.sum(outbox.c.size), 0).label("size")
    row = tx.run(select(func.count().label("rows"), total).select_from(outbox)).one()
    return int(row.rows), int(row.size)


def paths(tx: Transaction) -> set[str]:
    return set(tx.run(select(outbox.c.path)).scalars())
