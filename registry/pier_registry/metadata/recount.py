"""The oracle: every `cnt` from its edges, in plain SQL, apart from the code that keeps them."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, FromClause, ScalarSelect, Table, exists, func, select, update

from pier_registry.metadata.schema import image, layer, lease, manifest, manifest_child, manifest_layer, tag
from pier_registry.metadata.session import Transaction


@dataclass(frozen=True, slots=True)
class Miscount:
    """A row of `table` named `name` whose `cnt` says `stored` while its edges say `counted`."""

    table: str
    id: int
    name: str
    stored: int
    counted: int


def miscounts(tx: Transaction) -> list[Miscount]:
    found: list[Miscount] = []
    for table, name, counted in _truths():
        rows = tx.run(
            select(table.c.id, name.label("name"), table.c.cnt, counted.label("counted")).where(table.c.cnt != counted)
        )
        found += [Miscount(table.name, row.id, row.name, row.cnt, row.counted) for row in rows]
    return found


def unheld(tx: Transaction) -> dict[str, list[int]]:
    """Row ids by table of what nobody holds and no lease names; an ended lease is the reclaimer's to work off."""
    return {
        table.name: list(tx.run(select(table.c.id).where(table.c.cnt == 0, ~_leased(table))).scalars())
        for table in (manifest, image, layer)
    }


def repair(tx: Transaction, wrong: Miscount) -> None:
    """Set the count to what the edges say now, under the row's lock: both may have changed since it was found."""
    table, counted = next((table, counted) for table, _, counted in _truths() if table.name == wrong.table)
    this = table.c.id == wrong.id
    tx.run(select(table.c.id).where(this).with_for_update()).all()
    now = tx.run(select(counted).select_from(table).where(this)).scalar_one_or_none()
    if now is not None:
        tx.run(update(table).where(this).values(cnt=now))


def _leased(table: Table) -> ColumnElement[bool]:
    return exists().where(lease.c.kind == table.name, lease.c.object_id == table.c.id)


def _truths() -> list[tuple[Table, ColumnElement[str], ColumnElement[int]]]:
    child = image.alias("child")
    return [
        (
            manifest,
            manifest.c.digest,
            _edges(tag, tag.c.manifest_id == manifest.c.id)
            + _edges(manifest_child, manifest_child.c.child_id == manifest.c.id),
        ),
        (
            image,
            image.c.image_id,
            _edges(tag, tag.c.image_id == image.c.id) + _edges(child, child.c.parent_id == image.c.id),
        ),
        (
            layer,
            layer.c.digest,
            _edges(manifest_layer, manifest_layer.c.layer_id == layer.c.id)
            + _edges(image, image.c.layer_id == layer.c.id),
        ),
    ]


def _edges(table: FromClause, which: ColumnElement[bool]) -> ScalarSelect[int]:
    return select(func.count()).select_from(table).where(which).scalar_subquery()
