"""Images as an old engine knows them: chains of v1 layers, read from `docker save` or made up.

The folder of each layer in such a tar: `<id>/json`, `<id>/VERSION`, `<id>/layer.tar`; `repositories` names the top
layer of each tag. Source: Docker image specification 1.0, "Combined Image JSON + Filesystem Changeset Format".
"""

from __future__ import annotations

import json
import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.parts import cache
from tests.parts.image_builds import saved_images
from tests.parts.synthetic import synthetic_layers

__all__ = ["SavedImage", "SavedLayer", "read_saved", "saved_images", "synthetic_image"]


@dataclass(frozen=True, slots=True)
class SavedLayer:
    """One v1 image. `layer` is an uncompressed tar; `parent` is None for a root."""

    id: str
    json: bytes
    parent: str | None
    layer: Path


@dataclass(frozen=True, slots=True)
class SavedImage:
    """A chain of layers, root first, and its tags as `name:tag`, sorted."""

    tags: tuple[str, ...]
    layers: tuple[SavedLayer, ...]

    @property
    def top(self) -> SavedLayer:
        return self.layers[-1]


def read_saved(path: Path) -> list[SavedImage]:
    """Every tagged image of a `docker save`, by first tag; the layers are unpacked once, beside the file.

    Raises ValueError for a tar without v1 folders, as Docker 25 and newer write it.
    """
    seen = path.stat()
    folder = path.with_name(f"{path.name}.{seen.st_size:x}-{seen.st_mtime_ns:x}")
    cache.made_at(folder, lambda draft: _unpack(path, draft))
    tops: dict[str, list[str]] = {}
    for name, tags in json.loads((folder / "repositories").read_bytes()).items():
        for tag, top in tags.items():
            tops.setdefault(top, []).append(f"{name}:{tag}")
    images = [SavedImage(tuple(sorted(tags)), _chain(folder, top)) for top, tags in tops.items()]
    return sorted(images, key=lambda image: image.tags)


def synthetic_image(depth: int, seed: int = 0, size: int = 2048, *, on: SavedImage | None = None) -> SavedImage:
    """A made-up image of `depth` layers above `on`, each with one text file of `size` bytes; tagged `synthetic:<seed>`.

    The same arguments always give the same ids and bytes, and a deeper image of the same seed and size begins with
    the same layers. The layers' files go when the process ends.
    """
    below = on.layers if on else ()
    made = synthetic_layers(depth, seed, size, below[-1].id if below else None)
    return SavedImage((f"synthetic:{seed}",), (*below, *(SavedLayer(*parts) for parts in made)))


def _chain(folder: Path, top: str) -> tuple[SavedLayer, ...]:
    layers: list[SavedLayer] = []
    current: str | None = top
    while current:
        document = (folder / current / "json").read_bytes()
        known: dict[str, Any] = json.loads(document)
        layers.append(SavedLayer(known["id"], document, known.get("parent"), folder / current / "layer.tar"))
        current = known.get("parent")
    return tuple(reversed(layers))


def _unpack(path: Path, draft: Path) -> None:
    with tarfile.open(path) as archive:
        names = archive.getnames()
        if "repositories" not in names:
            raise ValueError(f"{path} has no v1 images: save it with Docker 24 or older, by tag")
        for name in names:
            if name == "repositories" or name.endswith(("/json", "/layer.tar")):
                _copy(archive, name, draft / name)


def _copy(archive: tarfile.TarFile, name: str, target: Path) -> None:
    """Layers with equal bytes are links to one of them; the reader follows those."""
    target.parent.mkdir(exist_ok=True)
    source = archive.extractfile(name)
    assert source, f"{name} is neither a file nor a link to one"
    with source, target.open("wb") as copy:
        shutil.copyfileobj(source, copy, 1 << 20)
