"""A repository of many tags, written straight through the metadata layer: pushing them would take an hour."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import uuid4

from bench.images import REPOSITORY
from bench.layers import Layer
from pier_registry.metadata import images, layers, refcounts, repositories, tags
from pier_registry.metadata.layers import Arrival
from pier_registry.metadata.schema import image, layer, tag
from pier_registry.metadata.session import Metadata, Transaction
from pier_registry.names import Digest, ImageId, RepositoryName, TagName, layer_path
from pier_registry.settings import Settings
from tests.parts.registry import Running

_BATCH: Final = 1000
_HOME: Final = RepositoryName.parse(REPOSITORY)
_JSON: Final = b'{"id": "seeded"}'


@dataclass(slots=True)
class Seeded:
    """`count` tags of which each alone holds an image and a layer of the size of `source`, above one shared base."""

    running: Running
    metadata: Metadata
    source: Layer
    count: int
    generations: dict[TagName, str] = field(default_factory=dict)

    def doomed(self, turn: int) -> TagName:
        """A tag from anywhere in the repository, whose layer has its file."""
        name = _name(turn * 7919 % self.count)
        path = self.running.data / layer_path(_digest(name), self.generations[name])
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self.source.path, path)
        with path.open("rb") as file:
            os.fsync(file.fileno())
        return name

    def refill(self, name: TagName) -> None:
        """Put a deleted tag back, so that the repository keeps its size."""
        self.generations[name] = str(uuid4())
        arrival = Arrival(_digest(name), self.source.size, self.generations[name], None)
        self.metadata.write(lambda tx: _one(tx, name, arrival))

    def fill(self) -> None:
        first = TagName("base")
        self.metadata.write(lambda tx: _one(tx, first, Arrival(_digest(first), self.source.size, str(uuid4()), None)))
        for start in range(0, self.count, _BATCH):
            names = [_name(number) for number in range(start, min(start + _BATCH, self.count))]
            self.generations |= {name: str(uuid4()) for name in names}
            self.metadata.write(lambda tx, names=names: self._many(tx, names))  # type: ignore[misc]
        self.metadata.write(_without_base_tag)

    def _many(self, tx: Transaction, names: list[TagName]) -> None:
        """As `_one` for each, in three statements."""
        base, home = _base(tx), repositories.find(tx, _HOME)
        assert home is not None
        ids = range(base.id + 1 + self._number(names[0]), base.id + 1 + self._number(names[0]) + len(names))
        rows = list(zip(ids, names, strict=True))
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

    def _number(self, name: TagName) -> int:
        return int(name.removeprefix("v"))

    def _layer_row(self, tx: Transaction, row_id: int, name: TagName) -> dict[str, Any]:
        generation = self.generations[name]
        return {
            "id": row_id,
            "digest": str(_digest(name)),
            "size": self.source.size,
            "generation": generation,
            "cnt": 1,
            "created": tx.now,
        }


@contextmanager
def seeded(running: Running, source: Layer, count: int) -> Iterator[Seeded]:
    """The registry that runs, with `count` tags in the benchmark's repository."""
    given = {key: value for key, value in running.environment.items() if key.startswith("PIER_")}
    metadata = Metadata(Settings.load(given).database)
    try:
        made = Seeded(running, metadata, source, count)
        made.fill()
        yield made
    finally:
        metadata.close()


def _one(tx: Transaction, name: TagName, arrival: Arrival) -> None:
    """A tag as a push leaves it."""
    home = repositories.find_or_create(tx, _HOME)
    base = None if name == "base" else _base(tx)
    stored, _ = layers.arrive(tx, arrival)
    refcounts.take(tx, images=[base.id] if base else [], layers=[stored.id])
    row_id = images.insert(tx, _image_id(name), parent=base, layer_id=stored.id, json=_JSON, payload=arrival.digest)
    refcounts.take(tx, images=[row_id])
    tags.point(tx, home.id, name, known=None, image_row=row_id, manifest_row=None, agent={})


def _without_base_tag(tx: Transaction) -> None:
    """The tags hold the base now."""
    home = repositories.find(tx, _HOME)
    known = tags.find(tx, home.id, TagName("base")) if home else None
    assert known is not None
    assert known.image_row is not None
    tags.remove(tx, known.id)
    refcounts.release(tx, images=[known.image_row])


def _base(tx: Transaction) -> images.Image:
    found = images.find(tx, _image_id(TagName("base")))
    assert found is not None
    return found


def _image_row(tx: Transaction, row_id: int, name: TagName, base: images.Image) -> dict[str, Any]:
    return {
        "id": row_id,
        "image_id": _image_id(name),
        "parent_id": base.id,
        "layer_id": row_id,
        "json": _JSON,
        "payload": str(_digest(name)),
        "depth": 2,
        "cnt": 1,
        "created": tx.now,
    }


def _name(number: int) -> TagName:
    return TagName(f"v{number:05}")


def _digest(name: TagName) -> Digest:
    """Made up: nobody reads these layers."""
    return Digest.sha256(hashlib.sha256(f"layer {name}".encode()).hexdigest())


def _image_id(name: TagName) -> ImageId:
    return ImageId(hashlib.sha256(f"image {name}".encode()).hexdigest())
