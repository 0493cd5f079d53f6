"""From v1 to v2: the manifest that a v1 tag also points at, made once, at the tag's PUT.

What takes long is done before the tag's transaction: reading the chain, looking into layers, storing the config under
a promise. The transaction sees whether all of it still holds, and only inserts.
"""

from __future__ import annotations

import hashlib
import io
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import BinaryIO

from pier_registry import errors
from pier_registry.actions import blob_upload, files, manifest_body, visibility
from pier_registry.actions.blob_upload import Piece
from pier_registry.actions.registry import Caller, Registry
from pier_registry.actions.synthesis import CONFIG, GZIP, TAR, Part, Synthesis, synthesise
from pier_registry.metadata import images, layers, leases, manifests, refcounts
from pier_registry.metadata.images import Image
from pier_registry.metadata.layers import Layer
from pier_registry.metadata.manifests import Draft
from pier_registry.metadata.refcounts import Released
from pier_registry.metadata.session import Transaction
from pier_registry.names import Digest, ImageId, RepositoryName, layer_path
from pier_registry.storage import inside
from pier_registry.storage.base import Readable

log = logging.getLogger("pier.bridge")


@dataclass(frozen=True, slots=True)
class Prepared:
    """A manifest to be, and the chain that it was made of, from top to root: row and layer of each image."""

    made: Synthesis
    layers: tuple[Digest, ...]
    seen: tuple[tuple[int, Digest], ...]

    @property
    def blobs(self) -> set[Digest]:
        return {self.made.config_digest, *self.layers}


class Stale(Exception):
    """The chain, or a blob, is not what was seen: prepare again."""


@contextmanager
def prepared(
    registry: Registry, caller: Caller, repository: RepositoryName, image_id: ImageId
) -> Iterator[Prepared | None]:
    """What is stored for it stays until the end of the block, by which a tag must hold it.

    None for an image that v2 clients cannot have: a layer is no tar, damaged or gone. Raises DiskFull, Denied.
    """
    keep = _Keep(registry, caller, repository)
    try:
        yield _prepare(keep, image_id)
    finally:
        keep.end()


@dataclass(frozen=True, slots=True)
class _Keep:
    """Blobs of the registry's own making, each under a promise to the pusher whose tag will hold it."""

    registry: Registry
    caller: Caller
    repository: RepositoryName
    kept: set[Digest] = field(default_factory=set)

    def add(self, digest: Digest, content: Readable, size: int) -> None:
        blob_upload.keep(self.registry, self.caller, self.repository, digest, Piece(content, size, None))
        self.kept.add(digest)

    def end(self) -> None:
        if not self.kept:
            return
        try:
            released = self.registry.metadata.write(self._end)
        except errors.Unavailable as trouble:
            # The tag is set or not, and the client is told so; promises run out by themselves.
            log.warning("promises not ended", extra={"error": str(trouble)})
            return
        files.drop(self.registry, released.layers)

    def _end(self, tx: Transaction) -> Released:
        rows = [layer.id for layer in layers.among(tx, self.kept).values()]
        freed = leases.take_back(tx, "layer", rows, self.repository.full, self.caller.pusher)
        return refcounts.reap_freed(tx, freed)


def _prepare(keep: _Keep, image_id: ImageId) -> Prepared | None:
    registry, caller = keep.registry, keep.caller
    chain, jsons = registry.metadata.read(lambda tx: _chain(tx, caller, image_id))
    served: dict[Digest, _Served | None] = {}
    for link in chain:
        if link.digest not in served:
            served[link.digest] = _served(keep, link)
    parts = [
        Part(json, found.digest, found.size, found.media_type, found.diff_id)
        for link, json in zip(reversed(chain), reversed(jsons), strict=True)
        if (found := served[link.digest]) is not None
    ]
    if not parts or len(parts) < len(chain):
        return None
    try:
        made = synthesise(parts)
    except ValueError:
        return None
    keep.add(made.config_digest, io.BytesIO(made.config), len(made.config))
    return Prepared(made, tuple(part.digest for part in parts), _seen(chain))


def lock(tx: Transaction, prepared: Prepared | None) -> list[int]:
    """Layer rows that the manifest will hold, for the one sorted lock."""
    return [layer.id for layer in layers.among(tx, prepared.blobs).values()] if prepared else []


def put(tx: Transaction, home: int, prepared: Prepared, chain: Sequence[Image]) -> int:
    """The manifest's row in this repository, old or new. Its layers are locked. Raises Stale."""
    held = {name: layer for name, layer in layers.among(tx, prepared.blobs).items() if not layer.lost}
    if prepared.seen != _seen(chain) or len(held) < len(prepared.blobs):
        raise Stale
    known = manifests.find(tx, home, prepared.made.digest, lock=True)
    if known is not None:
        return known.id
    rows = _rows(prepared, held)
    refcounts.take(tx, layers=rows)
    draft = Draft(
        digest=prepared.made.digest,
        media_type=manifest_body.DOCKER_MANIFEST,
        artifact_type=CONFIG,
        annotations={},
        body=prepared.made.manifest,
        subject=None,
        config_row=held[str(prepared.made.config_digest)].id,
        layer_rows=rows,
        child_rows=(),
        origin="synth",
    )
    return manifests.insert(tx, home, draft)


def _rows(prepared: Prepared, held: dict[str, Layer]) -> list[int]:
    named = dict.fromkeys([prepared.made.config_digest, *prepared.layers])
    return [held[str(digest)].id for digest in named]


def _seen(chain: Sequence[Image]) -> tuple[tuple[int, Digest], ...]:
    return tuple((link.id, link.digest) for link in chain)


def _chain(tx: Transaction, caller: Caller, image_id: ImageId) -> tuple[list[Image], list[bytes]]:
    """From top to root; empty when the tag's own transaction will refuse it."""
    top = images.find(tx, image_id)
    if top is None or not visibility.reaches(tx, caller, top, "push"):
        return [], []
    chain = images.chain(tx, [top.id])
    return chain, [images.json_of(tx, link.id) for link in chain]


@dataclass(frozen=True, slots=True)
class _Served:
    """A layer as v2 clients will get it."""

    digest: Digest
    size: int
    media_type: str
    diff_id: str


def _served(keep: _Keep, link: Image) -> _Served | None:
    registry = keep.registry
    try:
        with registry.storage.open(layer_path(link.digest, link.generation)) as file:
            diff_id = link.uncompressed or _look(registry, link, file)
            if link.lost or diff_id is None:
                return None
            kind = inside.form(file)
            if kind == "other":
                digest, size = _repacked(keep, file)
                return _Served(digest, size, GZIP, diff_id)
            return _Served(link.digest, link.size, GZIP if kind == "gzip" else TAR, diff_id)
    except FileNotFoundError:
        return None


def _look(registry: Registry, link: Image, file: BinaryIO) -> str | None:
    """A layer that came over v2 was never inflated; what a config says of it is only a claim."""
    found = inside.uncompressed(file, registry.settings.max_inflated)
    if found is None:
        return None
    registry.metadata.write(lambda tx: layers.tell_uncompressed(tx, link.layer_id, found))
    return str(found)


def _repacked(keep: _Keep, file: BinaryIO) -> tuple[Digest, int]:
    """The layer packed with gzip, stored beside itself."""
    running, size = hashlib.sha256(), 0
    source = inside.gzipped(file)
    while piece := source.read(1 << 20):
        running.update(piece)
        size += len(piece)
    digest = Digest.sha256(running.hexdigest())
    keep.add(digest, inside.gzipped(file), size)
    return digest, size
