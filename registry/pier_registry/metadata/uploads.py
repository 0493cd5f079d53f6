"""Bytes on their way in, and the v1 images that wait for them.

An upload's UUID becomes the generation of its layer file, so its row is enough to find every file that a crash at
any line could leave: the upload itself, or the layer path it was moved to before the transaction that counts it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Row, bindparam, case, delete, func, select, update

from pier_registry import errors
from pier_registry.metadata import outbox
from pier_registry.metadata.leases import Pusher
from pier_registry.metadata.schema import pending_image, upload
from pier_registry.metadata.session import Metadata, Transaction, inserted_id
from pier_registry.names import Digest, ImageId, upload_path

_FIELDS: Final = ("id", "uuid", "user", "size", "digest", "expected", "payload", "uncompressed")
_UPLOADS: Final = select(*(upload.c[name] for name in _FIELDS))
# What every blob of a push asks is put together once.
_ONE: Final = upload.c.uuid == bindparam("_uuid")
_SESSION: Final = _UPLOADS.where(
    _ONE, upload.c.user == bindparam("_user"), upload.c.repository == bindparam("_repository")
)
_SESSION_LOCKED: Final = _SESSION.with_for_update()
_BEGIN: Final = upload.insert()
_COUNT: Final = select(func.count()).where(upload.c.user == bindparam("_user"))
_CHANGE: Final = update(upload).where(_ONE)
_FORGET: Final = delete(upload).where(_ONE)


@dataclass(frozen=True, slots=True)
class PendingImage:
    """A v1 image whose json came and whose layer is not confirmed; seen by its user only."""

    id: int
    user: str
    pusher: str
    image_id: ImageId
    parent: ImageId | None
    json: bytes


@dataclass(frozen=True, slots=True)
class Upload:
    """`size` bytes came. A v1 layer has its digests once all bytes are there; a blob `digest` when it is known.

    `expected` is what it was about to become: its file may lie there already.
    """

    id: int
    uuid: str
    user: str
    size: int
    digest: Digest | None
    expected: Digest | None
    payload: Digest | None
    uncompressed: Digest | None


def pending(tx: Transaction, pusher: Pusher, image_id: ImageId, *, lock: bool = False) -> PendingImage | None:
    """The pusher's own, so that clients of one user do not take it from each other; else any of the user's."""
    mine = case((pending_image.c.pusher == pusher.key, 0), else_=1)
    statement = (
        select(pending_image)
        .where(pending_image.c.user == pusher.user, pending_image.c.image_id == image_id)
        .order_by(mine, pending_image.c.id.desc())
        .limit(1)
    )
    row = tx.run(statement.with_for_update() if lock else statement).one_or_none()
    return None if row is None else _pending(row)


def by_row(tx: Transaction, row_id: int) -> PendingImage | None:
    """Locked."""
    row = tx.run(select(pending_image).where(pending_image.c.id == row_id).with_for_update()).one_or_none()
    return None if row is None else _pending(row)


def put_pending(
    tx: Transaction, pusher: Pusher, image_id: ImageId, parent: ImageId | None, json: bytes
) -> PendingImage:
    """Make or overwrite the pusher's own. Other bytes of json make the layers uploaded so far worthless: they go."""
    known = pending(tx, pusher, image_id, lock=True)
    if known is None or known.pusher != pusher.key:
        values = {"image_id": image_id, "parent": parent, "json": json, "touched": tx.now}
        added = pending_image.insert().values(user=pusher.user, pusher=pusher.key, **values)
        return PendingImage(inserted_id(tx.run(added)), pusher.user, pusher.key, image_id, parent, json)
    if known.json != json:
        drop_uploads(tx, known.id)
    values = {"parent": parent, "json": json, "touched": tx.now}
    tx.run(update(pending_image).where(pending_image.c.id == known.id).values(values))
    return PendingImage(known.id, pusher.user, pusher.key, image_id, parent, json)


def remove_pending(tx: Transaction, pending_id: int) -> None:
    tx.run(delete(pending_image).where(pending_image.c.id == pending_id))


def begin(
    tx: Transaction,
    uuid: str,
    user: str,
    *,
    most: int,
    pending_id: int | None = None,
    repository: str | None = None,
    expected: Digest | None = None,
) -> None:
    """An upload of a blob into a repository, or of the layer of a pending image, which the caller has locked.

    Raises TooManyRequests when the user has `most` uploads open.
    """
    if count(tx, user) >= most:
        raise errors.TooManyRequests("too many open uploads of this user (PIER_MAX_SESSIONS): finish some", 60)
    values = {"pending_id": pending_id, "repository": repository, "expected": str(expected) if expected else None}
    tx.run(_BEGIN, {"uuid": uuid, "user": user, "started": tx.now, "touched": tx.now, **values})
    if pending_id is not None:
        tx.run(update(pending_image).where(pending_image.c.id == pending_id).values(touched=tx.now))


def session(metadata: Metadata, uuid: str, user: str, repository: str) -> Upload | None:
    """A blob upload of this user in this repository; nobody else can name it."""
    row = metadata.glance(_SESSION, {"_uuid": uuid, "_user": user, "_repository": repository})
    return None if row is None else _upload(row)


def still_running(tx: Transaction, uuid: str, user: str, repository: str) -> bool:
    """Whether there is that session still; it stays until the transaction ends."""
    row = tx.run(_SESSION_LOCKED, {"_uuid": uuid, "_user": user, "_repository": repository}).first()
    return row is not None


def advance(tx: Transaction, uuid: str, size: int, digest: Digest | None) -> bool:
    """Note that a blob upload has `size` bytes, and the digest of all of them where it is known."""
    values = {"size": size, "digest": str(digest) if digest else None, "touched": tx.now}
    return tx.run(_CHANGE, values | {"_uuid": uuid}).rowcount > 0


def expect(tx: Transaction, uuid: str, digest: Digest) -> bool:
    """Note what the upload is about to become, before its file is moved there."""
    values = {"expected": str(digest), "touched": tx.now}
    return tx.run(_CHANGE, values | {"_uuid": uuid}).rowcount > 0


def complete(tx: Transaction, uuid: str, size: int, digest: Digest, payload: Digest, inflated: Digest | None) -> bool:
    """Note what the bytes are; False when the upload was dropped meanwhile."""
    values = {
        "size": size,
        "digest": str(digest),
        "payload": str(payload),
        "uncompressed": str(inflated) if inflated else None,
        "touched": tx.now,
    }
    return tx.run(_CHANGE, values | {"_uuid": uuid}).rowcount > 0


def of_pending(tx: Transaction, pending_id: int, *, lock: bool = False) -> list[Upload]:
    statement = _UPLOADS.where(upload.c.pending_id == pending_id).order_by(upload.c.id)
    return [_upload(row) for row in tx.run(statement.with_for_update() if lock else statement)]


def touch(tx: Transaction, uuid: str) -> None:
    tx.run(_CHANGE, {"touched": tx.now, "_uuid": uuid})


def forget(tx: Transaction, uuid: str) -> bool:
    """Drop the row alone: its file became a layer, or never came to be. False when it was dropped before."""
    return tx.run(_FORGET, {"_uuid": uuid}).rowcount > 0


def discard(tx: Transaction, dropped: Upload) -> list[int]:
    """Drop the row and queue every file it may have; returns the outbox rows.

    None for an upload without a row: another request has ended it, and its file may be a layer that counts.
    """
    if not forget(tx, dropped.uuid):
        return []
    entries = [outbox.add(tx, upload_path(dropped.uuid), dropped.size)]
    places = {place for place in (dropped.digest, dropped.expected) if place}
    return entries + [outbox.add_layer(tx, place, dropped.uuid, 0) for place in places]


def drop_uploads(tx: Transaction, pending_id: int) -> None:
    for dropped in of_pending(tx, pending_id, lock=True):
        discard(tx, dropped)


def drop_idle(tx: Transaction, before: int, count: int) -> int:
    """Drop up to `count` uploads and pending images untouched since `before` (ms); returns how many."""
    rows = tx.run(_UPLOADS.where(upload.c.touched < before).order_by(upload.c.id).limit(count).with_for_update())
    idle = [_upload(row) for row in rows]
    for dropped in idle:
        discard(tx, dropped)
    busy = select(upload.c.pending_id).where(upload.c.pending_id.is_not(None))
    waiting = select(pending_image.c.id).where(pending_image.c.touched < before, pending_image.c.id.not_in(busy))
    ids = list(tx.run(waiting.order_by(pending_image.c.id).limit(count).with_for_update()).scalars())
    tx.run(delete(pending_image).where(pending_image.c.id.in_(ids)))
    return len(idle) + len(ids)


def count(tx: Transaction, user: str) -> int:
    return int(tx.run(_COUNT, {"_user": user}).scalar_one())


def sends_to(tx: Transaction, user: str, repository: str) -> bool:
    """Whether the user has an open upload of a blob to this repository."""
    mine = select(upload.c.id).where(upload.c.user == user, upload.c.repository == repository)
    return tx.run(mine.limit(1)).first() is not None


def count_pending(tx: Transaction, user: str) -> int:
    return int(tx.run(select(func.count()).where(pending_image.c.user == user)).scalar_one())


def uuids(tx: Transaction) -> set[str]:
    return set(tx.run(select(upload.c.uuid)).scalars())


def _pending(row: Row[Any]) -> PendingImage:
    return PendingImage(row.id, row.user, row.pusher, row.image_id, row.parent, bytes(row.json))


def _upload(row: Sequence[Any]) -> Upload:
    row_id, uuid, user, size, *digests = row
    return Upload(row_id, uuid, user, size, *(Digest.parse(text) if text else None for text in digests))
