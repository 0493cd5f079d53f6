"""A v1 image arrives in three steps: its json, its layer, and the checksum that makes it complete.

Until then it is seen by its user only, so nobody can be handed half an image, or somebody else's idea of an id.
"""

from __future__ import annotations

import json
from typing import Final
from uuid import uuid4

from pier_registry import errors
from pier_registry.actions import adopt, files, promises, visibility
from pier_registry.actions.heartbeat import Heartbeat
from pier_registry.actions.registry import Caller, Registry
from pier_registry.metadata import images, layers, leases, refcounts, sessions, uploads, views
from pier_registry.metadata.layers import Arrival
from pier_registry.metadata.session import Transaction
from pier_registry.metadata.uploads import PendingImage, Upload
from pier_registry.names import ImageId, parse_image_id, upload_path
from pier_registry.storage.base import Readable, Received

_KEPT_TRIES: Final = 4
_CONFIRMATIONS: Final = 2 * _KEPT_TRIES


def image_json(registry: Registry, caller: Caller, image_id: ImageId, body: bytes) -> None:
    """Take an image's json, byte for byte; repeating it before the checksum is a retry.

    Raises ImageJsonInvalid, ImageExists, TooLarge, TooManyRequests. Registry v1, "PUT image json".
    """
    if len(body) > registry.settings.max_image_json:
        raise errors.TooLarge("the image json is larger than PIER_MAX_IMAGE_JSON")
    parent = _checked(body, image_id)

    def work(tx: Transaction) -> bool:
        _alive(registry, tx, caller)
        depth = _depth_of_parent(tx, caller, parent, image_id)
        if depth >= registry.settings.max_chain:
            raise errors.LimitExceeded("the image has more ancestors than PIER_MAX_CHAIN allows: squash it")
        known = images.find(tx, image_id, lock=True)
        if known and not known.lost and visibility.reaches(tx, caller, known, "push"):
            promises.give(registry, tx, caller, known.id, promises.announcing(tx, caller, image_id))
            return True
        if adopt.promised(registry, tx, caller, image_id, promises.announcing(tx, caller, image_id)):
            return True
        new = uploads.pending(tx, caller.pusher, image_id) is None
        if new and uploads.count_pending(tx, caller.user) >= registry.settings.max_sessions:
            raise errors.TooManyRequests("too many unfinished images of this user (PIER_MAX_SESSIONS): finish some", 60)
        uploads.put_pending(tx, caller.pusher, image_id, parent, body)
        return False

    if registry.metadata.write(work):  # told after the commit: the client skips the image, and counts on it
        raise errors.ImageExists


def layer(registry: Registry, caller: Caller, image_id: ImageId, body: Readable, announced: int | None) -> None:
    """Take an image's layer; it counts only once its checksum is confirmed.

    Raises ImageUnknown before its json, ImageExists, SizeInvalid, TooLarge, DiskFull, Busy.
    Registry v1, "PUT layer".
    """
    with registry.turns.taken(caller.user):
        _receive(registry, caller, image_id, body, announced)


def _receive(registry: Registry, caller: Caller, image_id: ImageId, body: Readable, announced: int | None) -> None:
    files.room_for(registry, announced or 0)
    uuid = str(uuid4())
    known = registry.metadata.write(lambda tx: _begin(registry, tx, caller, image_id, uuid))
    alive = Heartbeat(body, lambda: registry.metadata.write(lambda tx: _beat(registry, tx, caller, uuid)))
    try:
        received = registry.storage.receive(alive, uuid, prefix=known.json + b"\n", announced=announced)
    except (errors.PierError, OSError):
        files.forget(registry, lambda tx: uploads.forget(tx, uuid))
        raise
    if not registry.metadata.write(lambda tx: _received(tx, known, uuid, received)):
        registry.storage.remove(upload_path(uuid))
        raise errors.Conflict("the image's json changed while its layer was sent: push it again")


def checksum(registry: Registry, caller: Caller, image_id: ImageId, claimed: str) -> None:
    """Confirm the layer; from here on the image is complete and never changes.

    Raises ImageUnknown, ChecksumSet, ChecksumMismatch, ImageTaken, ImageJsonInvalid. Registry v1, "PUT checksum".
    """
    for _ in range(_CONFIRMATIONS):
        known, upload = registry.metadata.read(lambda tx: _confirmed(tx, caller, image_id, claimed))
        adopt.ensure(registry, caller, "", known.parent, whole=True)
        unneeded = _published(registry, caller, known, upload)
        if unneeded is not None:
            files.drop(registry, unneeded)
            return
    raise errors.Conflict("this image was pushed by others at the same time, or its layer is gone: push it again")


def _published(
    registry: Registry, caller: Caller, known: PendingImage, upload: Upload
) -> list[refcounts.GoneLayer] | None:
    """Files that are not needed; None when another client of this user confirmed this very upload first."""
    assert upload.digest is not None  # noqa: S101  _confirmed returns received uploads only
    try:
        bound = adopt.told_as(registry, known.image_id)
        if bound and (bound[0].digest != upload.digest or bound[1] != known.json):
            raise errors.ImageTaken
        registry.storage.publish(upload.uuid, upload.digest)
        return registry.metadata.write(lambda tx: _complete(registry, tx, caller, known, upload, bound is not None))
    except FileNotFoundError:
        return None
    except errors.ImageTaken:
        files.forget(registry, lambda tx: uploads.discard(tx, upload))
        raise


def _checked(body: bytes, image_id: ImageId) -> ImageId | None:
    """The parent that a well-formed image json names."""
    data = _json_object(body)
    if "id" not in data:
        raise errors.ImageJsonInvalid("the image json lacks its id", v1_text="Missing key `id' in JSON")
    if data["id"] != image_id:
        raise errors.ImageJsonInvalid("JSON data contains invalid id")
    parent = data.get("parent")
    if not parent:
        return None
    try:
        name = parse_image_id(parent) if isinstance(parent, str) else None
    except errors.ImageIdInvalid:
        name = None
    if name is None or name == image_id:
        raise _no_parent()
    return name


def _json_object(body: bytes) -> dict[str, object]:
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict) or not data:
        raise errors.ImageJsonInvalid("the body is not a JSON object with members", v1_text="Invalid JSON")
    return data


def _no_parent() -> errors.ImageJsonInvalid:
    return errors.ImageJsonInvalid("Image depends on a non existing parent")


def _depth_of_parent(tx: Transaction, caller: Caller, parent: ImageId | None, child: ImageId) -> int:
    """Length of the chain below; a parent that is still being uploaded counts too, unless the chain is a circle."""
    depth = 0
    while parent is not None:
        known = images.find(tx, parent)
        if known and visibility.reaches(tx, caller, known, "push"):
            return depth + known.depth
        view = visibility.view(tx, caller, parent, "push")
        if view is not None:
            return depth + view.position + 1
        waiting = uploads.pending(tx, caller.pusher, parent)
        if waiting is None or waiting.parent == child:
            raise _no_parent()
        depth, parent = depth + 1, waiting.parent
        if depth > 1000:
            raise _no_parent()
    return depth


def _begin(registry: Registry, tx: Transaction, caller: Caller, image_id: ImageId, uuid: str) -> PendingImage:
    _alive(registry, tx, caller)
    waiting = uploads.pending(tx, caller.pusher, image_id, lock=True) or _overtaken(tx, caller, image_id)
    uploads.begin(tx, uuid, caller.user, most=registry.settings.max_sessions, pending_id=waiting.id)
    return waiting


def _overtaken(tx: Transaction, caller: Caller, image_id: ImageId) -> PendingImage:
    """An image that another client of this user completed while this push, begun before, was about to send it.

    Old clients give up at a refusal here, so the layer is taken once more, and its checksum joins the image.
    """
    known = images.find(tx, image_id)
    if known is None or not visibility.reaches(tx, caller, known, "push"):
        raise errors.ImageExists if visibility.view(tx, caller, image_id, "push") else errors.ImageUnknown
    if not any(push.born <= known.created for push in promises.announcing(tx, caller, image_id)):
        raise errors.ImageExists
    parent = None if known.parent_id is None else images.by_row(tx, known.parent_id).image_id
    return uploads.put_pending(tx, caller.pusher, image_id, parent, images.json_of(tx, known.id))


def _beat(registry: Registry, tx: Transaction, caller: Caller, uuid: str) -> None:
    uploads.touch(tx, uuid)
    _alive(registry, tx, caller)


def _received(tx: Transaction, known: PendingImage, uuid: str, received: Received) -> bool:
    """Note what came; older tries beyond a few are dropped."""
    kept = uploads.complete(tx, uuid, received.size, received.digest, received.payload, received.uncompressed)
    tries = [known_try for known_try in uploads.of_pending(tx, known.id, lock=True) if known_try.digest]
    for old in tries[:-_KEPT_TRIES]:
        uploads.discard(tx, old)
    return kept


def _confirmed(tx: Transaction, caller: Caller, image_id: ImageId, claimed: str) -> tuple[PendingImage, Upload]:
    waiting = uploads.pending(tx, caller.pusher, image_id)
    if waiting is None:
        known = images.find(tx, image_id)
        if known and visibility.reaches(tx, caller, known, "push"):
            raise errors.ChecksumSet
        raise errors.ImageExists if visibility.view(tx, caller, image_id, "push") else errors.ImageUnknown
    received = [upload for upload in uploads.of_pending(tx, waiting.id) if upload.digest]
    if not received:
        raise errors.ImageJsonInvalid("the image has no layer yet: PUT its layer before the checksum")
    for upload in reversed(received):
        if str(upload.payload) == claimed:
            return waiting, upload
    raise errors.ChecksumMismatch


def _complete(
    registry: Registry, tx: Transaction, caller: Caller, waiting: PendingImage, upload: Upload, same_as_face: bool
) -> list[refcounts.GoneLayer] | None:
    """The image's row and its holders, or the promise of an equal one; returns a file that is not needed.

    `same_as_face`: the id was seen to stand for these very bytes among those that came over v2.
    """
    _alive(registry, tx, caller)
    uploads.by_row(tx, waiting.id)
    mine = next((one for one in uploads.of_pending(tx, waiting.id, lock=True) if one.uuid == upload.uuid), None)
    if mine is None or mine.digest is None:
        return None
    arrival = Arrival(mine.digest, mine.size, mine.uuid, mine.uncompressed)
    known = images.find(tx, waiting.image_id, lock=True)
    if known is None:
        if not same_as_face and views.of_id(tx, waiting.image_id):
            raise errors.ImageTaken
        row_id, kept = _new_image(registry, tx, caller, waiting, mine, arrival)
    else:
        row_id, kept = known.id, _join(tx, known, waiting, arrival)
    _promise(registry, tx, caller, row_id, waiting.image_id)
    uploads.forget(tx, mine.uuid)
    if not uploads.of_pending(tx, waiting.id):
        uploads.remove_pending(tx, waiting.id)
    return [] if kept else [refcounts.unneeded(tx, arrival)]


def _new_image(
    registry: Registry, tx: Transaction, caller: Caller, waiting: PendingImage, mine: Upload, arrival: Arrival
) -> tuple[int, bool]:
    parent = images.find(tx, waiting.parent, lock=True) if waiting.parent else None
    if waiting.parent and (parent is None or not visibility.reaches(tx, caller, parent, "push")):
        raise _no_parent()
    if parent and parent.depth >= registry.settings.max_chain:
        raise errors.LimitExceeded("the image has more ancestors than PIER_MAX_CHAIN allows: squash it")
    assert mine.payload is not None  # noqa: S101  received
    stored, kept = layers.arrive(tx, arrival)
    refcounts.take(tx, images=[parent.id] if parent else [], layers=[stored.id])
    row_id = images.insert(
        tx, waiting.image_id, parent=parent, layer_id=stored.id, json=waiting.json, payload=mine.payload
    )
    return row_id, kept


def _join(tx: Transaction, known: images.Image, waiting: PendingImage, arrival: Arrival) -> bool:
    """The id exists: the same json and the same content are the same image, anything else is refused."""
    same_bytes = known.digest == arrival.digest
    same_tar = arrival.uncompressed is not None and known.uncompressed == str(arrival.uncompressed)
    if images.json_of(tx, known.id) != waiting.json or not (same_bytes or (same_tar and not known.lost)):
        raise errors.ImageTaken
    return layers.arrive(tx, arrival)[1] if same_bytes else False


def _promise(registry: Registry, tx: Transaction, caller: Caller, row_id: int, image_id: ImageId) -> None:
    """One promise for each tag that a session of this pusher announced; without a session, one to the user."""
    announced = promises.announcing(tx, caller, image_id)
    promises.give(registry, tx, caller, row_id, announced)
    if not announced:
        leases.grant(tx, "image", row_id, "", caller.pusher, life=registry.lease)


def _alive(registry: Registry, tx: Transaction, caller: Caller) -> None:
    """A pusher at work keeps its sessions and what it was promised."""
    sessions.touch(tx, caller.pusher, idle=30_000)
    for repository in {known.repository for known in sessions.of(tx, caller.pusher)} | {""}:
        leases.renew(tx, repository, caller.pusher, life=registry.lease)
