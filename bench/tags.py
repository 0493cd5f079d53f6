"""Tags of v1 images, in numbers."""

from __future__ import annotations

import hashlib
from typing import Any, ClassVar, Final

from bench.images import REPOSITORY
from bench.seeding import BASE, HOME, Seeded, digest_of
from pier_registry.metadata import images, layers, refcounts, repositories, tags
from pier_registry.metadata.layers import Arrival
from pier_registry.metadata.schema import image, layer, tag
from pier_registry.metadata.session import Transaction
from pier_registry.names import ImageId, TagName

_JSON: Final = b'{"id": "seeded"}'


class ImageTags(Seeded):
    """Each holds an image of one layer, whose parent all share."""

    answered: ClassVar[int] = 200

    def address(self, name: TagName) -> str:
        return f"/v1/repositories/{REPOSITORY}/tags/{name}"

    def _one(self, tx: Transaction, name: TagName, arrival: Arrival) -> None:
        home = repositories.find_or_create(tx, HOME)
        base = None if name == BASE else _base(tx)
        stored, _ = layers.arrive(tx, arrival)
        refcounts.take(tx, images=[base.id] if base else [], layers=[stored.id])
        row_id = images.insert(tx, _image_id(name), parent=base, layer_id=stored.id, json=_JSON, payload=arrival.digest)
        refcounts.take(tx, images=[row_id])
        tags.point(tx, tags.claim(tx, home.id, name), image_row=row_id, manifest_row=None, agent={})

    def _many(self, tx: Transaction, names: list[TagName]) -> None:
        base, home = _base(tx), repositories.find(tx, HOME)
        assert home is not None
        rows = [(base.id + 1 + int(name.removeprefix("v")), name) for name in names]
        tx.run(layer.insert(), [self._layer_row(tx, row_id, name) for row_id, name in rows])
        tx.run(image.insert(), [_image_row(tx, row_id, name, base) for row_id, name in rows])
        tx.run(
            tag.insert(),
            [
                {"repository_id": home.id, "name": name, "image_id": row, "agent": "{}", "updated": tx.now}
                for row, name in rows
            ],
        )
        tx.run(image.update().where(image.c.id == base.id).values(cnt=image.c.cnt + len(rows)))

    def _without_base_tag(self, tx: Transaction) -> None:
        home = repositories.find(tx, HOME)
        known = tags.find(tx, home.id, BASE) if home else None
        assert known is not None
        assert known.image_row is not None
        tags.remove(tx, known.id)
        refcounts.release(tx, images=[known.image_row])


def _base(tx: Transaction) -> images.Image:
    found = images.find(tx, _image_id(BASE))
    assert found is not None
    return found


def _image_row(tx: Transaction, row_id: int, name: TagName, base: images.Image) -> dict[str, Any]:
    return {
        "id": row_id,
        "image_id": _image_id(name),
        "parent_id": base.id,
        "layer_id": row_id,
        "json": _JSON,
        "payload": str(digest_of(name)),
        "depth": 2,
        "cnt": 1,
        "created": tx.now,
    }


def _image_id(name: TagName) -> ImageId:
    return ImageId(hashlib.sha256(f"image {name}".encode()).hexdigest())
