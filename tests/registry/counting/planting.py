"""Rows made or cleared in one transaction, where pushing and deleting would take minutes."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import uuid4

from sqlalchemy import update

from pier_registry.actions.registry import Registry
from pier_registry.metadata import images, layers, refcounts, repositories, schema, tags
from pier_registry.metadata.layers import Arrival
from pier_registry.metadata.session import Transaction
from pier_registry.names import Digest, ImageId, TagName, layer_path
from tests.registry.counting.pushing import Image, repository


def plant(registry: Registry, name: str, tops: Mapping[str, Image]) -> None:
    """As if each top had been pushed to its tag of the repository `name`."""
    files = {link.layer: str(uuid4()) for top in tops.values() for link in top.chain}
    for layer, generation in files.items():
        path = registry.settings.data / layer_path(_arrival(layer, generation).digest, generation)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(layer)

    def work(tx: Transaction) -> None:
        home = repositories.find_or_create(tx, repository(name))
        for tag, top in tops.items():
            row = _planted(tx, top, files)
            refcounts.take(tx, images=[row.id])
            tags.point(tx, tags.claim(tx, home.id, TagName(tag)), image_row=row.id, manifest_row=None, agent={})

    registry.metadata.write(work)


def clear(tx: Transaction) -> None:
    """Nothing is left in any table."""
    tx.run(update(schema.image).values(parent_id=None))
    for table in reversed(schema.metadata.sorted_tables):
        tx.run(table.delete())


def _planted(tx: Transaction, top: Image, files: Mapping[bytes, str]) -> images.Image:
    parent: images.Image | None = None
    for one in reversed(top.chain):
        known = images.find(tx, one.id)
        if known is None:
            stored, _ = layers.arrive(tx, _arrival(one.layer, files[one.layer]))
            refcounts.take(tx, images=[parent.id] if parent else [], layers=[stored.id])
            payload = Digest.parse(one.payload)
            images.insert(tx, one.id, parent=parent, layer_id=stored.id, json=one.json, payload=payload)
            known = images.find(tx, one.id)
        parent = known
    assert parent is not None
    return parent


def _arrival(layer: bytes, generation: str) -> Arrival:
    return Arrival(Image(ImageId(""), b"", layer).digest, len(layer), generation, None)
