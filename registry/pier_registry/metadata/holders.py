"""Who holds what: the questions behind receipts, previews and /api/layers."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

from sqlalchemy import CTE, select, union

from pier_registry.metadata import images, leases
from pier_registry.metadata.schema import image, layer, manifest, manifest_child, manifest_layer, repository, tag
from pier_registry.metadata.session import Transaction
from pier_registry.metadata.tags import Tag
from pier_registry.names import Digest, RepositoryName

SHOWN: Final = 10
COUNTED: Final = 1000


@dataclass(frozen=True, slots=True)
class Held:
    """A layer with some of the tags that reach it: `held_by` as `repository:tag`, `others` how many more (to 1,000)."""

    digest: Digest
    size: int
    cnt: int
    held_by: tuple[str, ...]
    others: int


def layers_of_tag(tx: Transaction, known: Tag) -> list[int]:
    """Row ids of all layers that a tag reaches."""
    found: set[int] = set()
    if known.image_row is not None:
        found |= {link.layer_id for link in images.chain(tx, [known.image_row])}
    if known.manifest_row is not None:
        tree = _tree(known.manifest_row)
        edges = select(manifest_layer.c.layer_id).join(tree, tree.c.id == manifest_layer.c.manifest_id)
        found |= set(tx.run(edges).scalars())
    return sorted(found)


def break_promises(tx: Transaction, manifest_rows: Collection[int], image_rows: Collection[int]) -> None:
    """Drop every promise of these manifests, of the images and their ancestors, and of the layers that they hold."""
    chain = images.chain(tx, image_rows) if image_rows else []
    below = select(manifest_layer.c.layer_id).where(manifest_layer.c.manifest_id.in_(sorted(manifest_rows)))
    leases.drop_of(tx, "manifest", manifest_rows)
    leases.drop_of(tx, "image", [link.id for link in chain])
    leases.drop_of(tx, "layer", {link.layer_id for link in chain} | set(tx.run(below).scalars()))


def manifests_of(tx: Transaction, repository_id: int) -> list[int]:
    return list(tx.run(select(manifest.c.id).where(manifest.c.repository_id == repository_id)).scalars())


def of_layers(tx: Transaction, rows: Collection[int], visible: Callable[[str], bool]) -> list[Held]:
    """Those of the layers that still exist, by digest, each with its holders as far as they are `visible`."""
    if not rows:
        return []
    found = tx.run(select(layer.c.id, layer.c.digest, layer.c.size, layer.c.cnt).where(layer.c.id.in_(sorted(rows))))
    return [
        Held(Digest.parse(row.digest), row.size, row.cnt, *_reached_by(tx, row.id, visible))
        for row in sorted(found, key=lambda row: row.digest)
    ]


def _reached_by(tx: Transaction, layer_id: int, visible: Callable[[str], bool]) -> tuple[tuple[str, ...], int]:
    names = [
        f"{RepositoryName(full, full).short}:{name}" if visible(full) else None
        for full, name in tags_reaching(tx, layer_id, COUNTED)
    ]
    shown = tuple(name for name in names if name)[:SHOWN]
    return shown, len(names) - len(shown)


def tags_reaching(tx: Transaction, layer_id: int, count: int) -> list[tuple[str, str]]:
    """Up to `count` tags (repository, name), sorted, whose image or manifest contains the layer."""
    by_image = select(tag.c.id).where(tag.c.image_id.in_(select(_images_with(layer_id).c.id)))
    by_manifest = select(tag.c.id).where(tag.c.manifest_id.in_(select(_manifests_with(layer_id).c.id)))
    reaching = union(by_image, by_manifest).limit(count).subquery()
    rows = tx.run(
        select(repository.c.name, tag.c.name.label("tag"))
        .join(tag, tag.c.repository_id == repository.c.id)
        .join(reaching, reaching.c.id == tag.c.id)
        .order_by(repository.c.name, tag.c.name)
    )
    return [(row.name, row.tag) for row in rows if not row.name.startswith("#")]


def _images_with(layer_id: int) -> CTE:
    walk = select(image.c.id).where(image.c.layer_id == layer_id).cte("children", recursive=True)
    return walk.union(select(image.c.id).where(image.c.parent_id == walk.c.id))


def _manifests_with(layer_id: int) -> CTE:
    holding = select(manifest_layer.c.manifest_id.label("id")).where(manifest_layer.c.layer_id == layer_id)
    walk = holding.cte("parents", recursive=True)
    return walk.union(select(manifest_child.c.parent_id).where(manifest_child.c.child_id == walk.c.id))


def _tree(manifest_id: int) -> CTE:
    walk = select(manifest.c.id).where(manifest.c.id == manifest_id).cte("tree", recursive=True)
    return walk.union(select(manifest_child.c.child_id).where(manifest_child.c.parent_id == walk.c.id))
