"""Blob uploads: sessions, pieces, mounts. All state lies under the session's UUID, none in its address.

Addresses are paths alone, so no client leaves TLS or the host it asked, whatever stands in front of the registry.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from flask import Blueprint, Response, request

from pier_registry import actions, errors
from pier_registry.actions.blob_upload import Piece, Progress
from pier_registry.names import Digest, RepositoryName
from pier_registry.web import bodies
from pier_registry.web.context import caller, registry
from pier_registry.web.responses import empty

_UPLOADS: Final = "/v2/<repository:name>/blobs/uploads/"
_SESSION: Final = "/v2/<repository:name>/blobs/uploads/<uuid>"
_RANGE: Final = re.compile(r"(?:bytes[ =])?(\d{1,18})-(\d{1,18})(?:/(?:\d{1,18}|\*))?", re.ASCII)
_EMPTY: Final = Digest.sha256("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")


def register(room: Blueprint) -> None:
    room.post(_UPLOADS, endpoint="begin_upload")(begin)
    room.get(_SESSION, endpoint="upload")(progress)
    room.patch(_SESSION, endpoint="append_to_upload")(append)
    room.put(_SESSION, endpoint="finish_upload")(finish)
    room.delete(_SESSION, endpoint="cancel_upload")(cancel)


def begin(name: RepositoryName) -> Response:
    """A session, a mount, or the whole blob in this one request."""
    if "mount" in request.args:
        return _mount(name)
    if "digest-algorithm" in request.args:
        _algorithm(request.args["digest-algorithm"])
    if "digest" in request.args:
        digest = Digest.parse(request.args["digest"])
        if _has_body() or digest == _EMPTY:
            actions.blob_upload.whole(registry(), caller(), name, digest, _piece())
            return _created(name, digest)
    return _accepted(name, actions.blob_upload.begin(registry(), caller(), name))


def progress(name: RepositoryName, uuid: str) -> Response:
    return _accepted(name, actions.blob_upload.progress(registry(), caller(), name, uuid), 204)


def append(name: RepositoryName, uuid: str) -> Response:
    with _telling_where(name, uuid):
        return _accepted(name, actions.blob_upload.append(registry(), caller(), name, uuid, _piece()))


def finish(name: RepositoryName, uuid: str) -> Response:
    digest = Digest.parse(request.args.get("digest", ""))
    with _telling_where(name, uuid):
        actions.blob_upload.finish(registry(), caller(), name, uuid, digest, _piece() if _has_body() else None)
    return _created(name, digest)


def cancel(name: RepositoryName, uuid: str) -> Response:
    actions.blob_upload.cancel(registry(), caller(), name, uuid)
    return empty(204, {"Docker-Upload-UUID": uuid})


def _mount(name: RepositoryName) -> Response:
    """What cannot be mounted is uploaded, so that is what it becomes: never an error for a strange source."""
    digest = Digest.parse(request.args["mount"])
    if actions.blob_upload.mount(registry(), caller(), name, digest, _source()):
        return _created(name, digest)
    return _accepted(name, actions.blob_upload.begin(registry(), caller(), name))


def _source() -> RepositoryName | None:
    """None for any. Raises NameInvalid."""
    return RepositoryName.parse(request.args["from"]) if request.args.get("from") else None


def _algorithm(told: str) -> None:
    if told not in {"sha256", "sha512"}:
        raise errors.DigestInvalid(told)


def _has_body() -> bool:
    return bool(request.content_length) or "Transfer-Encoding" in request.headers


def _piece() -> Piece:
    """The body and where it belongs. Raises RangeInvalid, Invalid when its range and its length disagree."""
    told = request.headers.get("Content-Range")
    length = request.content_length if "Transfer-Encoding" not in request.headers else None
    if told is None:
        return Piece(bodies.stream(), length, None)
    match = _RANGE.fullmatch(told.strip())
    if match is None:
        raise errors.Invalid("Content-Range must be like 0-1023, first and last byte of the piece")
    start, end = int(match[1]), int(match[2])
    if length is not None and end - start + 1 != length:
        refused = errors.Invalid("Content-Range and the body's length disagree: send the piece that the range names")
        refused.code = "SIZE_INVALID"
        raise refused
    return Piece(bodies.stream(), end - start + 1 if length is None else length, start)


@contextmanager
def _telling_where(name: RepositoryName, uuid: str) -> Iterator[None]:
    """A piece at the wrong place is answered with the right one."""
    try:
        yield
    except errors.OffsetWrong as wrong:
        wrong.told = _headers(name, Progress(uuid, wrong.size))
        raise


def _accepted(name: RepositoryName, session: Progress, status: int = 202) -> Response:
    return empty(status, _headers(name, session))


def _headers(name: RepositoryName, session: Progress) -> dict[str, str]:
    """Inclusive range; of an empty upload it is 0-0, which every client reads."""
    return {
        "Location": f"/v2/{name}/blobs/uploads/{session.uuid}",
        "Range": f"0-{max(session.size - 1, 0)}",
        "Docker-Upload-UUID": session.uuid,
    }


def _created(name: RepositoryName, digest: Digest) -> Response:
    headers = {"Location": f"/v2/{name}/blobs/{digest}", "Docker-Content-Digest": str(digest)}
    return empty(201, headers)
