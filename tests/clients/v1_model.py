"""What goes over the v1 protocol, and what a push or pull tells about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class LayerLike(Protocol):
    """One v1 image: a json document, an uncompressed tar and an optional parent."""

    @property
    def id(self) -> str: ...
    @property
    def json(self) -> bytes: ...
    @property
    def parent(self) -> str | None: ...
    @property
    def layer(self) -> Path | bytes: ...


class ImageLike(Protocol):
    """A chain of layers, root first."""

    @property
    def layers(self) -> Sequence[LayerLike]: ...


@dataclass(frozen=True, slots=True)
class Layer:
    id: str
    json: bytes
    parent: str | None
    layer: Path | bytes


@dataclass(frozen=True, slots=True)
class Image:
    layers: tuple[Layer, ...]

    @property
    def top(self) -> Layer:
        return self.layers[-1]


@dataclass(frozen=True, slots=True)
class SentLayer:
    """One uploaded layer body: its size in bytes and what was hashed on the way.

    `payload` and `tarsum` are the two checksums as headers carry them; the other two are hex sha256 of the gzip
    stream and of the tar inside it.
    """

    size: int
    payload: str
    tarsum: str
    sha256: str
    uncompressed_sha256: str


@dataclass(frozen=True, slots=True)
class Pushed:
    """Ids in upload order; `skipped` are those that the registry said it had already."""

    uploaded: tuple[str, ...]
    skipped: tuple[str, ...]
    layers: Mapping[str, SentLayer]

    @property
    def bytes_sent(self) -> int:
        """Bytes of layer bodies."""
        return sum(sent.size for sent in self.layers.values())


@dataclass(frozen=True, slots=True)
class PulledLayer:
    """`size` in bytes as transmitted; the hashes are hex sha256 of those bytes and of the tar inside them."""

    id: str
    json: bytes
    layer_sha256: str
    size: int
    uncompressed_sha256: str


@dataclass(frozen=True, slots=True)
class Pulled:
    """`layers` root first."""

    id: str
    layers: tuple[PulledLayer, ...]


@dataclass(frozen=True, slots=True)
class Resumed:
    """How a broken download went on: the second answer's status and Content-Range, then the whole file."""

    status: int
    content_range: str
    size: int
    sha256: str


def announced(images: Mapping[str, ImageLike]) -> list[LayerLike]:
    """Every layer once, parents before children, in the order docker uploads them."""
    seen: dict[str, LayerLike] = {}
    for image in images.values():
        for layer in image.layers:
            seen.setdefault(layer.id, layer)
    return list(seen.values())


def tags_by_id(images: Mapping[str, ImageLike]) -> dict[str, list[str]]:
    tags: dict[str, list[str]] = {}
    for tag, image in images.items():
        tags.setdefault(image.layers[-1].id, []).append(tag)
    return tags
