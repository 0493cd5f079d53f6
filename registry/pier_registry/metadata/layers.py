"""Layer rows: one stored content-addressed object each, whoever holds it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Row, bindparam, select, update

from pier_registry.metadata import outbox
from pier_registry.metadata.schema import layer
from pier_registry.metadata.session import Transaction
from pier_registry.names import Digest

# What every blob of a push asks is put together once.
_BY_DIGEST: Final = select(layer).where(layer.c.digest == bindparam("_digest"))
_BY_ROW: Final = select(layer).where(layer.c.id == bindparam("_id"))
_BY_ROW_LOCKED: Final = _BY_ROW.with_for_update()
_NEW: Final = layer.insert()


@dataclass(frozen=True, slots=True)
class Layer:
    """`cnt` direct holders; `lost` when its file was found missing, until the same bytes are pushed again."""

    id: int
    digest: Digest
    size: int
    generation: str
    uncompressed: str | None
    lost: bool
    cnt: int


@dataclass(frozen=True, slots=True)
class Arrival:
    """Bytes that are durable under their layer path; not yet known to any row."""

    digest: Digest
    size: int
    generation: str
    uncompressed: Digest | None


def find(tx: Transaction, digest: Digest, *, lock: bool = False) -> Layer | None:
    """Locked by its id: whoever locks by the digest's index too can wait for somebody who waits for them."""
    row = tx.run(_BY_DIGEST, {"_digest": str(digest)}).one_or_none()
    if row is None or not lock:
        return None if row is None else _layer(row)
    return by_row(tx, row.id, lock=True)


def by_row(tx: Transaction, row_id: int, *, lock: bool = False) -> Layer | None:
    row = tx.run(_BY_ROW_LOCKED if lock else _BY_ROW, {"_id": row_id}).one_or_none()
    return None if row is None else _layer(row)


def among(tx: Transaction, digests: Iterable[Digest]) -> dict[str, Layer]:
    """Those of the digests that are stored, by digest."""
    wanted = sorted({str(digest) for digest in digests})
    if not wanted:
        return {}
    return {row.digest: _layer(row) for row in tx.run(select(layer).where(layer.c.digest.in_(wanted)))}


def arrive(tx: Transaction, new: Arrival) -> tuple[Layer, bool]:
    """The layer row of these bytes, locked; and whether the arrival's own file is the one that is kept."""
    known = find(tx, new.digest, lock=True)
    if known is None:
        values = {
            "digest": str(new.digest),
            "size": new.size,
            "generation": new.generation,
            "uncompressed": str(new.uncompressed) if new.uncompressed else None,
            "created": tx.now,
        }
        tx.run(_NEW, values)
        arrived = find(tx, new.digest)
        assert arrived is not None  # noqa: S101  inserted in this transaction
        return arrived, True
    if known.uncompressed is None and new.uncompressed:
        tell_uncompressed(tx, known.id, new.uncompressed)
    if known.lost:
        outbox.add_layer(tx, known.digest, known.generation, 0)  # a file with wrong bytes may still be there
        tx.run(update(layer).where(layer.c.id == known.id).values(generation=new.generation, lost=0))
        return known, True
    return known, known.generation == new.generation


def tell_uncompressed(tx: Transaction, row_id: int, digest: Digest) -> None:
    """Note the digest of the tar inside, seen by inflating it."""
    tx.run(update(layer).where(layer.c.id == row_id).values(uncompressed=str(digest)))


def page(tx: Transaction, after: int, count: int) -> list[Layer]:
    """Layers with an id above `after`, in order of id."""
    rows = tx.run(select(layer).where(layer.c.id > after).order_by(layer.c.id).limit(count))
    return [_layer(row) for row in rows]


def mark(tx: Transaction, seen: Layer, *, lost: bool) -> bool:
    """Note whether the file is lost; False when the row is not as it was `seen` any more."""
    same = (layer.c.id == seen.id, layer.c.generation == seen.generation, layer.c.lost == int(seen.lost))
    return tx.run(update(layer).where(*same).values(lost=int(lost))).rowcount > 0


def generation_known(tx: Transaction, digest: Digest, generation: str) -> bool:
    """Whether a row names this file, lost or not."""
    found = find(tx, digest)
    return found is not None and found.generation == generation


def _layer(row: Row[Any]) -> Layer:
    digest = Digest.parse(row.digest)
    return Layer(row.id, digest, row.size, row.generation, row.uncompressed, bool(row.lost), row.cnt)
