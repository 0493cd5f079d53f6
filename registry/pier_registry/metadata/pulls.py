"""What pulls ask for, most of all requests: each question is one statement, and so needs no transaction around it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import bindparam, exists, select

from pier_registry.metadata.schema import layer, manifest, manifest_layer, repository, tag
from pier_registry.metadata.session import Metadata
from pier_registry.names import Digest, RepositoryName, TagName


@dataclass(frozen=True, slots=True)
class Document:
    """A manifest with the exact bytes of its PUT."""

    digest: str
    media_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class File:
    """A layer's bytes in the storage, under its digest and generation."""

    digest: str
    size: int
    generation: str


_HERE: Final = repository.c.name == bindparam("repository")
_DOCUMENT: Final = select(manifest.c.digest, manifest.c.media_type, manifest.c.body)
_BY_DIGEST: Final = _DOCUMENT.join(repository, repository.c.id == manifest.c.repository_id).where(
    _HERE, manifest.c.digest == bindparam("digest")
)
_BY_TAG: Final = (
    _DOCUMENT.join(tag, tag.c.manifest_id == manifest.c.id)
    .join(repository, repository.c.id == tag.c.repository_id)
    .where(_HERE, tag.c.name == bindparam("tag"))
)
_HELD: Final = exists().where(
    manifest_layer.c.layer_id == layer.c.id,
    manifest_layer.c.manifest_id == manifest.c.id,
    manifest.c.repository_id == repository.c.id,
    _HERE,
)
_BLOB: Final = select(layer.c.digest, layer.c.size, layer.c.generation).where(
    layer.c.digest == bindparam("digest"), layer.c.lost == 0, _HELD
)


def document(metadata: Metadata, name: RepositoryName, reference: Digest | TagName) -> Document | None:
    """A manifest of the repository by its digest, or that of a tag."""
    if isinstance(reference, Digest):
        row = metadata.glance(_BY_DIGEST, {"repository": name.full, "digest": str(reference)})
    else:
        row = metadata.glance(_BY_TAG, {"repository": name.full, "tag": reference})
    return None if row is None else Document(*row)


def held_blob(metadata: Metadata, name: RepositoryName, digest: Digest) -> File | None:
    """A blob that some manifest of the repository holds."""
    row = metadata.glance(_BLOB, {"repository": name.full, "digest": str(digest)})
    return None if row is None else File(*row)
