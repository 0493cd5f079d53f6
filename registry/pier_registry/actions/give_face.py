"""Give a manifest its v1 face, where old clients could use what it describes: rows of ids beside the manifest's own.

The config is read before the transaction. Of an index, old clients get the image for linux/amd64.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pier_registry.actions import face
from pier_registry.actions.manifest_body import INDEXES, Description
from pier_registry.actions.registry import Registry
from pier_registry.metadata import images, layers, views
from pier_registry.metadata.manifests import Manifest
from pier_registry.metadata.session import Transaction
from pier_registry.names import Digest, ImageId, layer_path

_LARGEST: Final = 4 << 20


@dataclass(frozen=True, slots=True)
class Likeness:
    """An image that has a v1 face: its layers from root to top, and its config."""

    layers: Sequence[Digest]
    config: Digest
    content: bytes


def likeness(registry: Registry, told: Description, body: bytes) -> Likeness | None:
    """None for an index, an artifact, layers of a newer kind, or a config that is none."""
    found = [] if told.media_type in INDEXES or told.config is None else face.layers(body)
    if not found or told.config is None:
        return None
    content = _content(registry, told.config)
    if content is None or not face.fits(content, len(found)):
        return None
    return Likeness(found, told.config, content)


def give(
    tx: Transaction, row_id: int, likeness: Likeness | None, index: bytes, children: Mapping[str, Manifest]
) -> None:
    """Once for a manifest; `index` and `children` tell which child an index has the face of."""
    if views.tops(tx, [row_id]):
        return
    if likeness is not None:
        held = layers.among(tx, {*likeness.layers, likeness.config})
        rows = [held[str(digest)].id for digest in likeness.layers]
        views.insert(tx, row_id, _ids(tx, likeness), rows, held[str(likeness.config)].id)
    elif children:
        known = [children[digest].id for digest in face.for_old_clients(index) if digest in children]
        faces = views.tops(tx, known)
        source = next((each for each in known if each in faces), None)
        if source is not None:
            views.copy(tx, source, row_id)


def _ids(tx: Transaction, likeness: Likeness) -> list[ImageId]:
    """From root to top. An id that somebody has given to another image counts as taken."""
    ids: list[ImageId] = []
    first = face.ids(likeness.layers, likeness.config)
    if not images.known_ids(tx, first):
        return first
    last = len(likeness.layers) - 1
    for at, layer in enumerate(likeness.layers):
        parent = ids[-1] if ids else None
        config, content = (likeness.config, likeness.content) if at == last else (None, None)
        number = 0
        while _taken(tx, name := face.image_id(parent, layer, config, number), parent, layer, content):
            number += 1
        ids.append(name)
    return ids


def _taken(tx: Transaction, name: ImageId, parent: ImageId | None, layer: Digest, content: bytes | None) -> bool:
    known = images.find(tx, name)
    if known is None:
        return False
    return known.digest != layer or images.json_of(tx, known.id) != face.json_of(name, parent, content)


def _content(registry: Registry, digest: Digest) -> bytes | None:
    known = registry.metadata.read(lambda tx: layers.find(tx, digest))
    if known is None or known.size > _LARGEST:
        return None
    try:
        with registry.storage.open(layer_path(known.digest, known.generation)) as file:
            return file.read()
    except FileNotFoundError:
        return None
