"""From v2 to v1: images that were pushed over v2, in the hands of clients that know v1 ids only.

They are read through their face. Where a v1 client builds on one, or tags a part of one, the part becomes images of
its own; where it tags the whole, the tag's repository gets the manifest.
"""

from __future__ import annotations

from dataclasses import dataclass

from pier_registry import errors
from pier_registry.actions import face, manifest_body, promises, visibility
from pier_registry.actions.registry import Caller, Registry
from pier_registry.metadata import images, layers, leases, manifests, refcounts, views
from pier_registry.metadata.layers import Layer
from pier_registry.metadata.manifests import Draft
from pier_registry.metadata.session import Transaction
from pier_registry.metadata.sessions import PushSession
from pier_registry.metadata.views import View
from pier_registry.names import Digest, ImageId, layer_path


@dataclass(frozen=True, slots=True)
class Seen:
    """One id of a face with what its json is made of; `config` for the top alone."""

    view: View
    parent: ImageId | None
    config: Layer | None


def seen(tx: Transaction, view: View) -> Seen:
    below = next((each for each in views.chain(tx, view.manifest_id) if each.position == view.position - 1), None)
    config = layers.by_row(tx, view.config_row) if view.config_row is not None else None
    return Seen(view, below.image_id if below else None, config)


def json_of(registry: Registry, known: Seen) -> bytes:
    """Raises ImageUnknown when the config's file is gone."""
    return face.json_of(known.view.image_id, known.parent, _content(registry, known.config))


def _content(registry: Registry, config: Layer | None) -> bytes | None:
    if config is None:
        return None
    try:
        with registry.storage.open(layer_path(config.digest, config.generation)) as file:
            return file.read()
    except FileNotFoundError:
        raise errors.ImageUnknown from None


def promised(
    registry: Registry, tx: Transaction, caller: Caller, image_id: ImageId, announced: list[PushSession]
) -> View | None:
    """The id as a face that a pusher may count on from here on, by its manifest; None when there is none."""
    found = visibility.view(tx, caller, image_id, "push")
    if found is not None:
        refcounts.lock_manifests(tx, [found.manifest_id])
        found = visibility.view(tx, caller, image_id, "push")  # again: it may have gone while the lock was awaited
    if found is None or found.lost:
        return None
    promises.give(registry, tx, caller, found.manifest_id, announced, "manifest")
    return found


def told_as(registry: Registry, image_id: ImageId) -> tuple[View, bytes] | None:
    """What the id stands for already, whoever may see it, with its json."""

    def work(tx: Transaction) -> Seen | None:
        found = views.of_id(tx, image_id)
        return seen(tx, found[0]) if found else None

    known = registry.metadata.read(work)
    return (known.view, json_of(registry, known)) if known else None


def ensure(registry: Registry, caller: Caller, repository: str, image_id: ImageId | None, *, whole: bool) -> None:
    """Make images of a face up to this id, promised to the pusher; nothing where there is no need.

    The id of a whole face is left alone unless `whole`, since its manifest says more than its images could.
    """
    chain = registry.metadata.read(lambda tx: _to_adopt(tx, caller, image_id, whole))
    if not chain:
        return
    jsons = [json_of(registry, each) for each in chain]

    def work(tx: Transaction) -> None:
        parent: images.Image | None = None
        for each, json in zip(chain, jsons, strict=True):
            parent = images.find(tx, each.view.image_id, lock=True) or _adopt(tx, each, parent, json)
        assert parent is not None  # noqa: S101  the chain is not empty
        leases.grant(tx, "image", parent.id, repository, caller.pusher, life=registry.lease)

    registry.metadata.write(work)


def _to_adopt(tx: Transaction, caller: Caller, image_id: ImageId | None, whole: bool) -> list[Seen]:
    """From root to the image."""
    known = images.find(tx, image_id) if image_id else None
    if image_id is None or (known and visibility.reaches(tx, caller, known, "push")):
        return []
    view = visibility.view(tx, caller, image_id, "push")
    if view is None or (view.config_row is not None and not whole):
        return []
    chain = [each for each in views.chain(tx, view.manifest_id) if each.position <= view.position]
    return [seen(tx, each) for each in reversed(chain)]


def _adopt(tx: Transaction, known: Seen, parent: images.Image | None, json: bytes) -> images.Image:
    """The row of an image, which holds its parent and its layer; nobody ever sent its payload checksum."""
    view = known.view
    layer = layers.by_row(tx, view.layer_row, lock=True)
    if layer is None or layer.lost:
        raise errors.ImageUnknown
    refcounts.take(tx, images=[parent.id] if parent else [], layers=[layer.id])
    row_id = images.insert(tx, view.image_id, parent=parent, layer_id=layer.id, json=json, payload=None)
    return images.by_row(tx, row_id)


def link(tx: Transaction, caller: Caller, home: int, view: View) -> int | None:
    """The manifest's row in this repository, old or new: the same bytes hold the same blobs here too.

    None when it went while its lock was awaited.
    """
    source = _image_manifest(tx, caller, view)
    if source is None:
        return None
    known = manifests.find(tx, home, source.digest, lock=True)
    if known is not None:
        return known.id
    held = manifests.layers_of(tx, [source.id])
    refcounts.lock_layers(tx, held)
    refcounts.take(tx, layers=held)
    draft = Draft(
        digest=Digest.parse(source.digest),
        media_type=source.media_type,
        artifact_type=source.artifact_type,
        annotations=source.annotations,
        body=manifests.body_of(tx, source.id),
        subject=None,
        config_row=view.config_row,
        layer_rows=held,
        child_rows=(),
        origin=source.origin,
    )
    row_id = manifests.insert(tx, home, draft)
    views.copy(tx, source.id, row_id)
    return row_id


def _image_manifest(tx: Transaction, caller: Caller, view: View) -> manifests.Manifest | None:
    """One that the caller may see, locked: others may say more of the same layers. An index' child has it, too."""
    rows = [each.manifest_id for each in visibility.seen_views(tx, caller, view.image_id, "push")]
    refcounts.lock_manifests(tx, rows)
    found = [manifests.by_row(tx, row_id) for row_id in rows]
    return next((each for each in found if each and each.media_type in manifest_body.IMAGES), None)
