"""Delete by digest: a manifest with all its tags, or a blob that nothing holds but the caller's own promise."""

from __future__ import annotations

from pier_registry import errors
from pier_registry.actions import files, grace, receipt, visibility
from pier_registry.actions.receipt import Receipt
from pier_registry.actions.registry import Caller, Registry
from pier_registry.metadata import events, holders, layers, leases, manifests, refcounts, repositories, tags
from pier_registry.metadata.refcounts import Released
from pier_registry.metadata.repositories import Repository
from pier_registry.metadata.session import Transaction
from pier_registry.metadata.tags import Tag
from pier_registry.names import Digest, RepositoryName


def manifest(
    registry: Registry, caller: Caller, repository: RepositoryName, digest: Digest, *, force: bool = False
) -> Receipt:
    """Remove a manifest, every tag that points at it, and what only they held.

    With `force`, an admin's, promises to running pushes do not keep it. Raises ManifestUnknown, Unsupported while an
    index lists it, Denied. OCI distribution-spec 1.1, "Deleting manifests".
    """
    caller.require("delete-repository" if force else "delete", repository.full)

    def work(tx: Transaction) -> tuple[Released, list[str]]:
        home = _home(tx, repository, errors.ManifestUnknown(repository.spelt, str(digest)))
        known = manifests.find(tx, home.id, digest)
        if known is None:
            raise errors.ManifestUnknown(repository.spelt, str(digest))
        names = [_untag(tx, each) for each in tags.of_manifest(tx, known.id)]
        refcounts.lock_manifests(tx, [known.id])
        if manifests.is_child(tx, known.id):
            raise errors.Unsupported("an index of this repository lists the manifest: delete the index first")
        faces = [row for _, row in names if row is not None]
        grace.end(tx, repository, known.id)
        if force:
            holders.break_promises(tx, manifests.tree(tx, [known.id]), faces)
        else:
            _let_go(tx, caller, repository, "manifest", known.id)
        released = refcounts.remove(tx, known.id, len(names))
        released.join(refcounts.release(tx, images=faces))
        repositories.remove_if_empty(tx, home.id)
        _tell(tx, caller, repository, digest, released)
        return released, [name for name, _ in names]

    released, gone = files.forget(registry, work)
    return receipt.of(repository.short, gone, released, (), files.drop(registry, released.layers))


def blob(
    registry: Registry, caller: Caller, repository: RepositoryName, digest: Digest, *, force: bool = False
) -> Receipt:
    """Take back the caller's promise of a blob that no manifest of the repository holds.

    Raises LayerUnknown, Unsupported while a manifest or another push needs it, Denied. distribution-spec 1.1, end-10.
    """
    caller.require("delete-repository" if force else "delete", repository.full)

    def work(tx: Transaction) -> Released:
        known = layers.find(tx, digest, lock=True)
        if known is None or not visibility.shows_blob(tx, caller, repository, known.id):
            raise errors.LayerUnknown(str(digest))
        home = repositories.find(tx, repository)
        if home and manifests.holds(tx, home.id, [known.id]):
            raise errors.Unsupported("a manifest of this repository holds the blob: delete the manifest")
        if force:
            leases.drop_of(tx, "layer", [known.id])
        _let_go(tx, caller, repository, "layer", known.id)
        if leases.leased_in(tx, "layer", known.id, repository.full):
            raise errors.Unsupported("another push to this repository relies on the blob: try again when it has ended")
        released = refcounts.reap(tx, layers=[known.id])
        _tell(tx, caller, repository, digest, released)
        return released

    released = files.forget(registry, work)
    return receipt.of(repository.short, [], released, (), files.drop(registry, released.layers))


def _home(tx: Transaction, repository: RepositoryName, absent: errors.PierError) -> Repository:
    home = repositories.find(tx, repository, lock=True)
    if home is None:
        raise absent
    return home


def _untag(tx: Transaction, known: Tag) -> tuple[str, int | None]:
    """The tag's name and its v1 image."""
    tags.remove(tx, known.id)
    return str(known.name), known.image_row


def _let_go(tx: Transaction, caller: Caller, repository: RepositoryName, kind: leases.Kind, row_id: int) -> None:
    leases.give_up(tx, kind, row_id, repository.full, [caller.pusher.key])


def _tell(tx: Transaction, caller: Caller, repository: RepositoryName, digest: Digest, released: Released) -> None:
    events.add(tx, caller.user, "delete", repository=repository.full, reference=str(digest), freed=released.size)
