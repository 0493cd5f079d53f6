"""Point a tag at an image: take the new before releasing the old, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pier_registry import errors
from pier_registry.actions import files, receipt, visibility
from pier_registry.actions.receipt import Receipt
from pier_registry.actions.registry import Caller, Registry
from pier_registry.metadata import events, images, leases, refcounts, repositories, tags
from pier_registry.metadata.refcounts import Released
from pier_registry.metadata.session import Transaction
from pier_registry.names import ImageId, RepositoryName, TagName


def tag(
    registry: Registry,
    caller: Caller,
    repository: RepositoryName,
    name: TagName,
    image_id: ImageId,
    agent: Mapping[str, str],
) -> Receipt:
    """Set a v1 tag; what it pointed at before goes, if nothing else holds it.

    Raises ImageUnknown unless the image and its whole ancestry are complete and the caller may use them; Denied.
    Registry v1, "PUT tag".
    """
    caller.require("push", repository.full)
    wish = _Wish(repository, name, image_id, agent)
    released = registry.metadata.write(lambda tx: _point(registry, tx, caller, wish))
    dropped = files.drop(registry, released.layers)
    return receipt.of(repository.short, [], released, (), dropped)


@dataclass(frozen=True, slots=True)
class _Wish:
    repository: RepositoryName
    name: TagName
    image_id: ImageId
    agent: Mapping[str, str]


def _point(registry: Registry, tx: Transaction, caller: Caller, wish: _Wish) -> Released:
    home = repositories.find_or_create(tx, wish.repository)
    known = tags.find(tx, home.id, wish.name, lock=True)
    chain = _usable_chain(tx, caller, wish.image_id, known)
    top = chain[0]
    if known is None or known.image_row != top.id:
        refcounts.take(tx, images=[top.id])
    tags.point(tx, home.id, wish.name, known=known, image_row=top.id, manifest_row=None, agent=wish.agent)
    released = _release_old(tx, known, top.id) if known else Released()
    released.join(_consume(tx, caller, wish.repository, [link.id for link in chain]))
    leases.renew(tx, wish.repository.full, caller.pusher, life=registry.lease)
    events.add(tx, caller.user, "tag", repository=wish.repository.full, reference=wish.name, freed=released.size)
    return released


def _usable_chain(tx: Transaction, caller: Caller, image_id: ImageId, known: tags.Tag | None) -> list[images.Image]:
    """The image's ancestry, locked together with that of the tag's old image, all of it there and complete."""
    top = images.find(tx, image_id)
    if top is None:
        raise errors.ImageUnknown
    old = [known.image_row] if known and known.image_row is not None else []
    refcounts.lock_images(tx, [top.id, *old])
    locked = images.find(tx, image_id)
    if locked is None or not visibility.reaches(tx, caller, locked, "push"):
        raise errors.ImageUnknown
    chain = images.chain(tx, [locked.id])
    if any(link.lost for link in chain):
        raise errors.ImageUnknown
    return chain


def _release_old(tx: Transaction, known: tags.Tag, new_row: int) -> Released:
    manifests = [known.manifest_row] if known.manifest_row is not None else []
    old = [known.image_row] if known.image_row is not None and known.image_row != new_row else []
    return refcounts.release(tx, manifests=manifests, images=old)


def _consume(tx: Transaction, caller: Caller, repository: RepositoryName, chain: list[int]) -> Released:
    """Take back one promise from each image that the tag now holds."""
    freed: list[leases.Freed] = []
    for promised_in in (repository.full, ""):
        freed += leases.take_back(tx, "image", chain, promised_in, caller.pusher)
    return refcounts.reap_freed(tx, freed)
