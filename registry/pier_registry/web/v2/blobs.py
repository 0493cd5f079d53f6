"""Blobs by digest: their bytes, whether they are there, and an end to a promise."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, Response, request

from pier_registry import actions
from pier_registry.actions.pull import LayerFile
from pier_registry.names import Digest, RepositoryName
from pier_registry.web import sending
from pier_registry.web.answers import Answer
from pier_registry.web.context import Asked, asked, caller, registry
from pier_registry.web.responses import empty

_BLOB: Final = "/v2/<repository:name>/blobs/<digest:digest>"
# The digest names the bytes, so they never change; deleted ones really go, so nobody on the way keeps them for others.
_CACHED: Final = "private, max-age=31536000, immutable"


def register(room: Blueprint) -> None:
    room.get(_BLOB, endpoint="blob")(get)
    room.delete(_BLOB, endpoint="delete_blob")(delete)


def get(name: RepositoryName, digest: Digest) -> Response:
    return read(asked(), name, digest).response()


def read(asked: Asked, name: RepositoryName, digest: Digest) -> Answer:
    """By GET or HEAD."""
    if asked.request.method == "HEAD":
        return _head(actions.pull_manifest.ask_for_blob(asked.doors.registry, asked.caller, name, digest))
    file = actions.pull_manifest.blob(asked.doors.registry, asked.caller, name, digest)
    return sending.blob(asked, file, _headers(file))


def delete(name: RepositoryName, digest: Digest) -> Response:
    force = request.args.get("force", "") not in {"", "0", "false"}
    receipt = actions.delete_manifest.blob(registry(), caller(), name, digest, force=force)
    return empty(202, receipt.headers())


def _head(file: LayerFile) -> Answer:
    told = {"Content-Length": str(file.size), "Accept-Ranges": "bytes", "Content-Type": sending.BYTES}
    return Answer(_headers(file) | told)


def _headers(file: LayerFile) -> dict[str, str]:
    return {
        "Docker-Content-Digest": file.digest,
        "ETag": f'"{file.digest}"',
        "Cache-Control": _CACHED,
        "X-Content-Type-Options": "nosniff",
    }
