"""v1 faces of manifests: which v1 ids a manifest answers to, and the layer behind each.

Rows go with their manifest. An index has those of the child that old clients would take. The content of an id is
bound by the id, so whichever manifest it is found through, it is the same.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Row, Select, func, select

from pier_registry.metadata.schema import image_view, layer, manifest, repository, tag
from pier_registry.metadata.session import Transaction
from pier_registry.names import Digest, ImageId

_MOST: Final = 1000


@dataclass(frozen=True, slots=True)
class View:
    """`position` 0 is the root; `config_row` the config's layer row for the top alone; size in bytes, as stored."""

    image_id: ImageId
    manifest_id: int
    repository: str
    position: int
    layer_row: int
    config_row: int | None
    digest: Digest
    size: int
    generation: str
    lost: bool


def _views() -> Select[Any]:
    return (
        select(image_view, repository.c.name, layer.c.digest, layer.c.size, layer.c.generation, layer.c.lost)
        .join(manifest, manifest.c.id == image_view.c.manifest_id)
        .join(repository, repository.c.id == manifest.c.repository_id)
        .join(layer, layer.c.id == image_view.c.layer_id)
        .where(~repository.c.name.startswith("#"))
    )


def _view(row: Row[Any]) -> View:
    return View(
        image_id=ImageId(row.image_id),
        manifest_id=row.manifest_id,
        repository=row.name,
        position=row.position,
        layer_row=row.layer_id,
        config_row=row.config_id,
        digest=Digest.parse(row.digest),
        size=row.size,
        generation=row.generation,
        lost=bool(row.lost),
    )


def of_id(tx: Transaction, image_id: ImageId) -> list[View]:
    """The id in the manifests that answer to it, up to 1,000: a base is in many."""
    found = _views().where(image_view.c.image_id == image_id).order_by(image_view.c.manifest_id).limit(_MOST)
    return [_view(row) for row in tx.run(found)]


def chain(tx: Transaction, manifest_id: int) -> list[View]:
    """All ids of a manifest, top first."""
    found = _views().where(image_view.c.manifest_id == manifest_id).order_by(image_view.c.position.desc())
    return [_view(row) for row in tx.run(found)]


def tops(tx: Transaction, manifest_ids: Collection[int]) -> dict[int, ImageId]:
    """For each of the manifests that has a face, the id that its tag shows."""
    if not manifest_ids:
        return {}
    last = (
        select(image_view.c.manifest_id, func.max(image_view.c.position).label("position"))
        .where(image_view.c.manifest_id.in_(sorted(manifest_ids)))
        .group_by(image_view.c.manifest_id)
        .subquery()
    )
    same = (last.c.manifest_id == image_view.c.manifest_id) & (last.c.position == image_view.c.position)
    found = tx.run(select(image_view.c.manifest_id, image_view.c.image_id).join(last, same))
    return {row.manifest_id: ImageId(row.image_id) for row in found}


def ids_in(tx: Transaction, repository_id: int) -> list[ImageId]:
    """Ids of all faces that a repository's tags show."""
    mine = select(image_view.c.image_id).join(tag, tag.c.manifest_id == image_view.c.manifest_id)
    found = tx.run(mine.where(tag.c.repository_id == repository_id, tag.c.image_id.is_(None)).distinct())
    return [ImageId(name) for name in found.scalars()]


def insert(tx: Transaction, manifest_id: int, ids: Sequence[ImageId], layer_rows: Sequence[int], config: int) -> None:
    """From root to top; `config` is the row of the config, which tells the top's json."""
    last = len(ids) - 1
    rows = [
        {
            "image_id": name,
            "manifest_id": manifest_id,
            "position": at,
            "layer_id": layer_row,
            "config_id": config if at == last else None,
        }
        for at, (name, layer_row) in enumerate(zip(ids, layer_rows, strict=True))
    ]
    tx.run(image_view.insert(), rows)


def copy(tx: Transaction, source: int, target: int) -> None:
    """Give a manifest the face of another one."""
    taken = ("image_id", "position", "layer_id", "config_id")
    found = select(*(image_view.c[name] for name in taken)).where(image_view.c.manifest_id == source)
    rows = [row._asdict() | {"manifest_id": target} for row in tx.run(found)]
    if rows:
        tx.run(image_view.insert(), rows)
