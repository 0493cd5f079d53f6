"""Complete v1 images: immutable rows that hold their parent and their layer."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, Select, select

from pier_registry.metadata.schema import image, layer, repository, tag
from pier_registry.metadata.session import Transaction, inserted_id
from pier_registry.names import Digest, ImageId


@dataclass(frozen=True, slots=True)
class Image:
    """`size` in bytes, as stored; `lost` when the layer's file is missing; `depth` 1 for a root; `created` in ms."""

    id: int
    image_id: ImageId
    parent_id: int | None
    layer_id: int
    depth: int
    cnt: int
    payload: str
    created: int
    digest: Digest
    size: int
    generation: str
    uncompressed: str | None
    lost: bool


_SUMMARY = (
    image.c.id,
    image.c.image_id,
    image.c.parent_id,
    image.c.layer_id,
    image.c.depth,
    image.c.cnt,
    image.c.payload,
    image.c.created,
    layer.c.digest,
    layer.c.size,
    layer.c.generation,
    layer.c.uncompressed,
    layer.c.lost,
)


def _summaries() -> Select[Any]:
    return select(*_SUMMARY).join(layer, layer.c.id == image.c.layer_id)


def _image(row: Row[Any]) -> Image:
    values = row._asdict()
    return Image(**(values | {"digest": Digest.parse(row.digest), "lost": bool(row.lost)}))


def find(tx: Transaction, image_id: ImageId, *, lock: bool = False) -> Image | None:
    if lock:
        tx.run(select(image.c.id).where(image.c.image_id == image_id).with_for_update())
    row = tx.run(_summaries().where(image.c.image_id == image_id)).one_or_none()
    return None if row is None else _image(row)


def by_row(tx: Transaction, row_id: int) -> Image:
    return _image(tx.run(_summaries().where(image.c.id == row_id)).one())


def known_ids(tx: Transaction, ids: Collection[ImageId]) -> set[ImageId]:
    """Those of the ids that are images."""
    return {
        ImageId(name) for name in tx.run(select(image.c.image_id).where(image.c.image_id.in_(sorted(ids)))).scalars()
    }


def json_of(tx: Transaction, row_id: int) -> bytes:
    """The bytes of the PUT, unchanged."""
    return bytes(tx.run(select(image.c.json).where(image.c.id == row_id)).scalar_one())


def chain(tx: Transaction, row_ids: Collection[int]) -> list[Image]:
    """These images and all their ancestors, newest row first: for one image, its ancestry from top to root."""
    walk = select(image.c.id, image.c.parent_id).where(image.c.id.in_(sorted(row_ids))).cte("chain", recursive=True)
    walk = walk.union(select(image.c.id, image.c.parent_id).where(image.c.id == walk.c.parent_id))
    rows = tx.run(_summaries().join(walk, walk.c.id == image.c.id).order_by(image.c.id.desc()))
    return [_image(row) for row in rows]


def ids_in(tx: Transaction, repository_id: int) -> list[ImageId]:
    """Ids of all images that a repository's tags reach, newest row first."""
    walk = (
        select(image.c.id, image.c.parent_id)
        .join(tag, tag.c.image_id == image.c.id)
        .where(tag.c.repository_id == repository_id)
        .cte("reached", recursive=True)
    )
    walk = walk.union(select(image.c.id, image.c.parent_id).where(image.c.id == walk.c.parent_id))
    return list(
        tx.run(select(image.c.image_id).join(walk, walk.c.id == image.c.id).order_by(image.c.id.desc())).scalars()
    )


def holding_repositories(tx: Transaction, row_id: int) -> list[str]:
    """Full names of the repositories with a tag whose ancestry contains this image."""
    walk = select(image.c.id).where(image.c.id == row_id).cte("descendants", recursive=True)
    walk = walk.union(select(image.c.id).where(image.c.parent_id == walk.c.id))
    rows = tx.run(
        select(repository.c.name)
        .join(tag, tag.c.repository_id == repository.c.id)
        .join(walk, walk.c.id == tag.c.image_id)
        .distinct()
    )
    return [name for name in rows.scalars() if not name.startswith("#")]


def insert(
    tx: Transaction, image_id: ImageId, *, parent: Image | None, layer_id: int, json: bytes, payload: Digest | None
) -> int:
    """Add a row with no holder; the caller takes references and grants the lease. Returns its id.

    No `payload` for an image that did not come over v1.
    """
    added = tx.run(
        image.insert().values(
            image_id=image_id,
            parent_id=parent.id if parent else None,
            layer_id=layer_id,
            json=json,
            payload=str(payload or ""),
            depth=parent.depth + 1 if parent else 1,
            created=tx.now,
        )
    )
    return inserted_id(added)
