"""Point a tag at an image: take the new before releasing the old, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from typing import Final

from pier_registry import errors
from pier_registry.actions import adopt, bridge, files, grace, receipt, visibility
from pier_registry.actions.bridge import Prepared
from pier_registry.actions.receipt import Receipt
from pier_registry.actions.registry import Caller, Registry
from pier_registry.metadata import events, images, leases, manifests, refcounts, repositories, tags, views
from pier_registry.metadata.refcounts import Released
from pier_registry.metadata.session import Transaction
from pier_registry.metadata.tags import Tag
from pier_registry.metadata.views import View
from pier_registry.names import ImageId, RepositoryName, TagName

_TRIES: Final = 8


def tag(
    registry: Registry,
    caller: Caller,
    repository: RepositoryName,
    name: TagName,
    image_id: ImageId,
    agent: Mapping[str, str],
) -> Receipt:
    """Set a v1 tag, which v2 clients see as a manifest; what it pointed at before goes, if nothing else holds it.

    Raises ImageUnknown unless the image and its whole ancestry are complete and the caller may use them; Denied.
    Registry v1, "PUT tag".
    """
    caller.require("push", repository.full)
    wish = _Wish(repository, name, image_id, agent)
    released = _set(registry, caller, wish)
    dropped = files.drop(registry, released.layers)
    return receipt.of(repository.short, [], released, (), dropped)


@dataclass(frozen=True, slots=True)
class _Wish:
    repository: RepositoryName
    name: TagName
    image_id: ImageId
    agent: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Planned:
    """What was seen before the transaction: a manifest that can be made, or that the image has one already."""

    prepared: Prepared | None
    face: bool


@dataclass(frozen=True, slots=True)
class _Target:
    """What the tag will hold, locked: an image with its chain, of v2 origin perhaps, and a manifest.

    `chain` are rows of images, `sources` of manifests, by which it may have been promised.
    """

    image_row: int | None
    manifest_row: int | None
    chain: list[int]
    sources: list[int]


def _set(registry: Registry, caller: Caller, wish: _Wish) -> Released:
    for _ in range(_TRIES):
        with suppress(bridge.Stale):
            return _try(registry, caller, wish)
    raise errors.Busy("the image changes while its tag is set: try again")


def _try(registry: Registry, caller: Caller, wish: _Wish) -> Released:
    adopt.ensure(registry, caller, wish.repository.full, wish.image_id, whole=False)
    face = registry.metadata.read(lambda tx: _whole(tx, caller, wish)) is not None
    preparing = nullcontext() if face else bridge.prepared(registry, caller, wish.repository, wish.image_id)
    with preparing as prepared:
        plan = _Planned(prepared, face)
        return registry.metadata.write(lambda tx: _point(registry, tx, caller, wish, plan))


def _whole(tx: Transaction, caller: Caller, wish: _Wish) -> View | None:
    """The image as one that was pushed over v2, whose manifest says more than its parts could."""
    view = visibility.view(tx, caller, wish.image_id, "push")
    return view if view is not None and view.config_row is not None else None


def _point(registry: Registry, tx: Transaction, caller: Caller, wish: _Wish, plan: _Planned) -> Released:
    home = repositories.find_or_create(tx, wish.repository)
    known = tags.claim(tx, home.id, wish.name)
    target = _target(tx, caller, home.id, wish, known, plan)
    leaving_image = known.image_row if known.image_row != target.image_row else None
    leaving_manifest = known.manifest_row if known.manifest_row != target.manifest_row else None
    refcounts.take(
        tx,
        manifests=_given(target.manifest_row if target.manifest_row != known.manifest_row else None),
        images=_given(target.image_row if target.image_row != known.image_row else None),
    )
    tags.point(tx, known, image_row=target.image_row, manifest_row=target.manifest_row, agent=wish.agent)
    grace.give(registry, tx, wish.repository, _given(leaving_manifest))
    if target.manifest_row is not None:
        grace.end(tx, wish.repository, target.manifest_row)
    released = refcounts.release(tx, manifests=_given(leaving_manifest), images=_given(leaving_image))
    released.join(_consume(tx, caller, wish.repository, target))
    leases.renew(tx, wish.repository.full, caller.pusher, life=registry.lease)
    events.add(tx, caller.user, "tag", repository=wish.repository.full, reference=wish.name, freed=released.size)
    return released


def _given(row_id: int | None) -> list[int]:
    return [] if row_id is None else [row_id]


def _target(tx: Transaction, caller: Caller, home: int, wish: _Wish, known: Tag, plan: _Planned) -> _Target:
    """Lock manifests, then images, then layers, old and new together; then see that all of it is there.

    Raises Stale for a face that has gone since there was one.
    """
    prepared = plan.prepared
    old_manifests = _given(known.manifest_row)
    made = manifests.find(tx, home, prepared.made.digest) if prepared else None
    refcounts.lock_manifests(tx, [*old_manifests, *_given(made.id if made else None)])
    whole = _whole(tx, caller, wish)
    if whole is not None:
        return _face(tx, caller, home, whole)
    if plan.face:
        raise bridge.Stale
    chain = _usable_chain(tx, caller, wish.image_id, known)
    below = manifests.layers_of(tx, manifests.tree(tx, old_manifests))
    refcounts.lock_layers(tx, [*below, *bridge.lock(tx, prepared), *(link.layer_id for link in chain)])
    manifest_row = bridge.put(tx, home, prepared, chain) if prepared else None
    return _Target(chain[0].id, manifest_row, [link.id for link in chain], [])


def _face(tx: Transaction, caller: Caller, home: int, whole: View) -> _Target:
    """An image that was pushed over v2: its manifest is what the tag holds, even if its parts are images by now."""
    sources = [each.manifest_id for each in views.of_id(tx, whole.image_id)]
    known = images.find(tx, whole.image_id)
    chain = [link.id for link in images.chain(tx, [known.id])] if known else []
    manifest_row = adopt.link(tx, caller, home, whole)
    if manifest_row is None:
        raise bridge.Stale
    return _Target(None, manifest_row, chain, sources)


def _usable_chain(tx: Transaction, caller: Caller, image_id: ImageId, known: Tag) -> list[images.Image]:
    """The image's ancestry, locked together with that of the tag's old image, all of it there and complete."""
    top = images.find(tx, image_id)
    if top is None:
        raise errors.ImageUnknown
    old = _given(known.image_row)
    refcounts.lock_images(tx, [top.id, *old])
    locked = images.find(tx, image_id)
    if locked is None or not visibility.reaches(tx, caller, locked, "push"):
        raise errors.ImageUnknown
    chain = images.chain(tx, [locked.id])
    if any(link.lost for link in chain):
        raise errors.ImageUnknown
    return chain


def _consume(tx: Transaction, caller: Caller, repository: RepositoryName, target: _Target) -> Released:
    """Take back one promise from everything that the tag now holds."""
    freed: list[leases.Freed] = []
    for promised_in in (repository.full, ""):
        freed += leases.take_back(tx, "image", target.chain, promised_in, caller.pusher)
    freed += leases.take_back(tx, "manifest", target.sources, repository.full, caller.pusher)
    return refcounts.reap_freed(tx, freed)
