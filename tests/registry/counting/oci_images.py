"""Images, indexes and artifacts of few bytes that they share; what is made twice of the same is the same."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass

from pier_registry.names import Digest
from tests.registry.v2 import documents


@dataclass(frozen=True, slots=True, repr=False)
class Document:
    """A manifest as it is pushed, with what must be there before it; `subject` need not."""

    name: str
    body: bytes
    blobs: tuple[bytes, ...] = ()
    children: tuple[Document, ...] = ()
    subject: Document | None = None

    def __repr__(self) -> str:
        return f"<{self.name}>"

    @property
    def digest(self) -> str:
        return documents.digest(self.body)

    @property
    def media_type(self) -> str:
        return documents.media_type(self.body)

    @property
    def tree(self) -> list[Document]:
        """All below it, then the document itself: each once, in the order of a push."""
        below = (each for child in self.children for each in child.tree)
        return [*dict.fromkeys(below), self]

    @property
    def all_blobs(self) -> list[bytes]:
        """Of the whole tree, each once."""
        return list(dict.fromkeys(blob for each in self.tree for blob in each.blobs))


def blob(name: str, size: int = 60) -> bytes:
    return random.Random(name).randbytes(size)


def parsed(digest: str) -> Digest:
    return Digest.parse(digest)


def image(name: str, *layers: bytes, subject: Document | None = None) -> Document:
    """With a config of its own; an artifact when it has a subject."""
    root = {"type": "layers", "diff_ids": [documents.digest(layer) for layer in layers]}
    config = documents.encoded(documents.AMD64 | {"config": {"Labels": {"name": name}}, "rootfs": root})
    body = documents.image(*layers, config=config, subject=documents.pointer(subject.body) if subject else None)
    return Document(name, body, tuple(dict.fromkeys((config, *layers))), (), subject)


def index(name: str, *children: Document, subject: Document | None = None) -> Document:
    pointer = documents.pointer(subject.body) if subject else None
    body = documents.index(*(child.body for child in children), annotations={"name": name}, subject=pointer)
    return Document(name, body, (), children, subject)


def size(blobs: Iterable[bytes]) -> int:
    """Of different blobs together."""
    return sum(map(len, set(blobs)))
