"""Read v1 images: what a caller may reach through a repository, or is promised in a push of its own."""

from __future__ import annotations

from dataclasses import dataclass

from pier_registry import errors
from pier_registry.actions import adopt, promises, visibility
from pier_registry.actions.adopt import Seen
from pier_registry.actions.registry import Caller, Registry
from pier_registry.metadata import images, uploads, views
from pier_registry.metadata.images import Image
from pier_registry.metadata.session import Transaction
from pier_registry.metadata.sessions import PushSession
from pier_registry.metadata.views import View
from pier_registry.names import ImageId, layer_path


@dataclass(frozen=True, slots=True)
class ImageJson:
    """`size` of the layer in bytes, None when its file is lost; `payload` its checksum."""

    body: bytes
    size: int | None
    payload: str


@dataclass(frozen=True, slots=True)
class LayerFile:
    """`path` below the data folder, `size` in bytes."""

    path: str
    size: int
    digest: str


def image_json(registry: Registry, caller: Caller, image_id: ImageId) -> ImageJson:
    """The json as it was put. Inside a push that announced it, this also promises that the image will stay.

    Raises ImageUnknown, ImageIncomplete. Registry v1, "GET image json".
    """
    found = registry.metadata.read(lambda tx: promises.announcing(tx, caller, image_id) or _known(tx, caller, image_id))
    if isinstance(found, list):
        announced = found
        found = registry.metadata.write(lambda tx: _promised(registry, tx, caller, image_id, announced))
    if isinstance(found, Seen):
        view = found.view
        return ImageJson(adopt.json_of(registry, found), None if view.lost else view.size, "")
    return found


def layer(registry: Registry, caller: Caller, image_id: ImageId) -> LayerFile:
    """Raises ImageUnknown, ImageIncomplete. Registry v1, "GET layer"."""
    known = registry.metadata.read(lambda tx: _readable(tx, caller, image_id))
    if known.lost:
        raise errors.ImageUnknown
    return LayerFile(layer_path(known.digest, known.generation), known.size, str(known.digest))


def ancestry(registry: Registry, caller: Caller, image_id: ImageId) -> list[ImageId]:
    """The image itself first, its root last. Raises ImageUnknown, ImageIncomplete."""

    def work(tx: Transaction) -> list[ImageId]:
        known = _readable(tx, caller, image_id)
        if isinstance(known, Image):
            return [link.image_id for link in images.chain(tx, [known.id])]
        return [link.image_id for link in views.chain(tx, known.manifest_id) if link.position <= known.position]

    return registry.metadata.read(work)


def _promised(
    registry: Registry, tx: Transaction, caller: Caller, image_id: ImageId, announced: list[PushSession]
) -> ImageJson | Seen:
    known = images.find(tx, image_id, lock=True)
    if known is not None and not known.lost and visibility.reaches(tx, caller, known, "push"):
        promises.give(registry, tx, caller, known.id, announced)
        return _json(tx, known)
    found = adopt.promised(registry, tx, caller, image_id, announced)
    if found is None:
        raise _absent(tx, caller, image_id)
    return adopt.seen(tx, found)


def _known(tx: Transaction, caller: Caller, image_id: ImageId) -> ImageJson | Seen:
    known = _readable(tx, caller, image_id)
    return _json(tx, known) if isinstance(known, Image) else adopt.seen(tx, known)


def _json(tx: Transaction, known: Image) -> ImageJson:
    return ImageJson(images.json_of(tx, known.id), None if known.lost else known.size, known.payload)


def _readable(tx: Transaction, caller: Caller, image_id: ImageId) -> Image | View:
    known = images.find(tx, image_id)
    if known is not None and visibility.reaches(tx, caller, known, "pull"):
        return known
    found = visibility.view(tx, caller, image_id, "pull")
    if found is None:
        raise _absent(tx, caller, image_id)
    return found


def _absent(tx: Transaction, caller: Caller, image_id: ImageId) -> errors.PierError:
    if uploads.pending(tx, caller.pusher, image_id) is not None:
        return errors.ImageIncomplete()
    return errors.ImageUnknown()
