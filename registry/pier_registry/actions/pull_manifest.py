"""Read what a repository holds under v2: manifests, their referrers, and blobs.

A question by HEAD of somebody who may push is a promise: clients skip the upload of what they are told is there.
"""

from __future__ import annotations

from collections.abc import Collection

from pier_registry import errors
from pier_registry.actions import face, manifest_body, promises, visibility
from pier_registry.actions.pull import LayerFile
from pier_registry.actions.registry import Caller, Registry
from pier_registry.metadata import layers, manifests, pulls, repositories, tags
from pier_registry.metadata.layers import Layer
from pier_registry.metadata.manifests import Manifest
from pier_registry.metadata.pulls import Document
from pier_registry.metadata.session import Transaction
from pier_registry.names import Digest, RepositoryName, TagName, layer_path


def manifest(
    registry: Registry,
    caller: Caller,
    repository: RepositoryName,
    reference: Digest | TagName,
    accepted: Collection[str] = (),
) -> Document:
    """By digest or by tag. `accepted` media types; a tag's index is for those who can read one, see `_for`.

    Raises ManifestUnknown, Denied. OCI distribution-spec 1.1, end-3.
    """
    caller.require("pull", repository.full)
    found = pulls.document(registry.metadata, repository, reference)
    if found is None:
        raise errors.ManifestUnknown(repository.spelt, str(reference))
    if isinstance(reference, Digest) or not _asks_for_an_image(found.media_type, accepted):
        return found
    return registry.metadata.read(lambda tx: _image_of(tx, repository, reference))


def ask_for_manifest(
    registry: Registry,
    caller: Caller,
    repository: RepositoryName,
    reference: Digest | TagName,
    accepted: Collection[str] = (),
) -> Document:
    """As `manifest`; one named by its digest is promised to somebody who may push here."""
    if not _pushes(caller, repository):
        return manifest(registry, caller, repository, reference, accepted)
    if not isinstance(reference, Digest):
        document = manifest(registry, caller, repository, reference, accepted)
        promises.may_be_done(registry, caller, repository, document.digest)
        return document

    def work(tx: Transaction) -> Document:
        home = repositories.find(tx, repository, share=True)
        known = manifests.find(tx, home.id, reference, lock=True) if home else None
        if known is None:
            raise errors.ManifestUnknown(repository.spelt, str(reference))
        promises.give_asked(registry, tx, caller, repository, "manifest", known.id)
        return _document(tx, known)

    return registry.metadata.write(work)


def blob(registry: Registry, caller: Caller, repository: RepositoryName, digest: Digest) -> LayerFile:
    """Raises LayerUnknown, Denied. OCI distribution-spec 1.1, end-2."""
    caller.require("pull", repository.full)
    held = pulls.held_blob(registry.metadata, repository, digest)
    if held is not None:
        return LayerFile(layer_path(digest, held.generation), held.size, held.digest)
    return registry.metadata.read(lambda tx: _file(_shown(tx, caller, repository, digest)))


def ask_for_blob(registry: Registry, caller: Caller, repository: RepositoryName, digest: Digest) -> LayerFile:
    """As `blob`; it is promised to somebody who may push here."""
    if not _pushes(caller, repository):
        return blob(registry, caller, repository, digest)

    def work(tx: Transaction) -> LayerFile:
        known = _shown(tx, caller, repository, digest, lock=True)
        promises.give_asked(registry, tx, caller, repository, "layer", known.id)
        return _file(known)

    return registry.metadata.write(work)


def referrers(
    registry: Registry,
    caller: Caller,
    repository: RepositoryName,
    subject: Digest,
    artifact_types: Collection[str],
    *,
    after: int,
    count: int,
) -> list[Manifest]:
    """Manifests that refer to the subject, which need not be there. Raises Denied. distribution-spec 1.1, end-12."""
    caller.require("pull", repository.full)

    def work(tx: Transaction) -> list[Manifest]:
        home = repositories.find(tx, repository)
        return manifests.referrers(tx, home.id, subject, artifact_types, after, count) if home else []

    return registry.metadata.read(work)


def _pushes(caller: Caller, repository: RepositoryName) -> bool:
    return caller.may("push", repository.full)


def _asks_for_an_image(media_type: str, accepted: Collection[str]) -> bool:
    """Clients that name manifest types but no index get an image out of one."""
    reads = set(accepted)
    return (
        media_type in manifest_body.INDEXES and bool(manifest_body.IMAGES & reads) and not manifest_body.INDEXES & reads
    )


def _image_of(tx: Transaction, repository: RepositoryName, name: TagName) -> Document:
    """The image for linux/amd64 out of a tag's index, or what else the tag is by now."""
    home = repositories.find(tx, repository)
    known = tags.find(tx, home.id, name) if home else None
    found = manifests.by_row(tx, known.manifest_row) if known and known.manifest_row is not None else None
    if found is None:
        raise errors.ManifestUnknown(repository.spelt, name)
    children = {child.digest: child for child in manifests.children(tx, found.id)}
    wanted = face.for_old_clients(manifests.body_of(tx, found.id)) if children else []
    return _document(tx, next((children[digest] for digest in wanted if digest in children), found))


def _document(tx: Transaction, known: Manifest) -> Document:
    return Document(known.digest, known.media_type, manifests.body_of(tx, known.id))


def _shown(tx: Transaction, caller: Caller, repository: RepositoryName, digest: Digest, *, lock: bool = False) -> Layer:
    known = layers.find(tx, digest, lock=lock)
    if known is None or known.lost or not visibility.shows_blob(tx, caller, repository, known.id):
        raise errors.LayerUnknown(str(digest))
    return known


def _file(known: Layer) -> LayerFile:
    return LayerFile(layer_path(known.digest, known.generation), known.size, str(known.digest))
