"""A repository of many tags, written straight through the metadata layer: pushing them would take an hour."""

from __future__ import annotations

import hashlib
import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final, TypeVar
from uuid import uuid4

from bench.images import REPOSITORY
from bench.layers import Layer
from pier_registry.metadata.layers import Arrival
from pier_registry.metadata.session import Metadata, Transaction
from pier_registry.names import Digest, RepositoryName, TagName, layer_path
from pier_registry.settings import Settings
from tests.parts.registry import Running

_BATCH: Final = 1000
HOME: Final = RepositoryName.parse(REPOSITORY)
BASE: Final = TagName("base")


@dataclass(slots=True)
class Seeded(ABC):
    """`count` tags of which each alone holds an image and a layer of the size of `source`, above one shared base."""

    answered: ClassVar[int]  # the status of a deletion
    running: Running
    metadata: Metadata
    source: Layer
    count: int
    generations: dict[TagName, str] = field(default_factory=dict)

    @abstractmethod
    def address(self, name: TagName) -> str:
        """Where a tag is deleted."""

    def doomed(self, turn: int) -> TagName:
        """A tag from anywhere in the repository, whose layer has its file."""
        name = number(turn * 7919 % self.count)
        path = self.file(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self.source.path, path)
        with path.open("rb") as file:
            os.fsync(file.fileno())
        return name

    def file(self, name: TagName) -> Path:
        """Of the tag's own layer."""
        return self.running.data / layer_path(digest_of(name), self.generations[name])

    def refill(self, name: TagName) -> None:
        """Put a deleted tag back, so that the repository keeps its size."""
        arrival = self._arrival(name)
        self.metadata.write(lambda tx: self._one(tx, name, arrival))

    def fill(self) -> None:
        base = self._arrival(BASE)
        self.metadata.write(lambda tx: self._one(tx, BASE, base))
        for start in range(0, self.count, _BATCH):
            names = [number(each) for each in range(start, min(start + _BATCH, self.count))]
            self.generations |= {name: str(uuid4()) for name in names}
            self.metadata.write(lambda tx, names=names: self._many(tx, names))  # type: ignore[misc]
        self.metadata.write(self._without_base_tag)

    def _arrival(self, name: TagName) -> Arrival:
        self.generations[name] = str(uuid4())
        return Arrival(digest_of(name), self.source.size, self.generations[name], None)

    @abstractmethod
    def _one(self, tx: Transaction, name: TagName, arrival: Arrival) -> None:
        """A tag as a push leaves it."""

    @abstractmethod
    def _many(self, tx: Transaction, names: list[TagName]) -> None:
        """As `_one` for each, in a few statements."""

    @abstractmethod
    def _without_base_tag(self, tx: Transaction) -> None:
        """The tags hold the base now."""

    def _layer_row(self, tx: Transaction, row_id: int, name: TagName) -> dict[str, Any]:
        return {
            "id": row_id,
            "digest": str(digest_of(name)),
            "size": self.source.size,
            "generation": self.generations[name],
            "cnt": 1,
            "created": tx.now,
        }


Kind = TypeVar("Kind", bound=Seeded)


@contextmanager
def seeded(kind: type[Kind], running: Running, source: Layer, count: int) -> Iterator[Kind]:
    """The registry that runs, with `count` tags in the benchmark's repository."""
    given = {key: value for key, value in running.environment.items() if key.startswith("PIER_")}
    metadata = Metadata(Settings.load(given).database)
    try:
        made = kind(running, metadata, source, count)
        made.fill()
        yield made
    finally:
        metadata.close()


def number(at: int) -> TagName:
    return TagName(f"v{at:05}")


def digest_of(name: TagName) -> Digest:
    """Made up: nobody reads these layers."""
    return Digest.sha256(hashlib.sha256(f"layer {name}".encode()).hexdigest())
