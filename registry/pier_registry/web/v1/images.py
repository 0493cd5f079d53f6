"""v1 images: json, layer and checksum going in; json, layer and ancestry coming out."""

from __future__ import annotations

from flask import Blueprint, Response, request

from pier_registry import actions, errors
from pier_registry.names import ImageId
from pier_registry.web import bodies, sending
from pier_registry.web.context import asked, caller, registry
from pier_registry.web.responses import as_json

_BASE = "/v1/images/<image:image_id>"
# Deleted layers really go, so nobody on the way may keep them for others.
_CACHED = {"Cache-Control": "private, max-age=60", "Last-Modified": "Thu, 01 Jan 1970 00:00:00 GMT"}


def register(room: Blueprint) -> None:
    room.get(f"{_BASE}/json", endpoint="image_json")(get_json)
    room.put(f"{_BASE}/json")(put_json)
    room.get(f"{_BASE}/layer")(get_layer)
    room.put(f"{_BASE}/layer")(put_layer)
    room.put(f"{_BASE}/checksum")(put_checksum)
    room.get(f"{_BASE}/ancestry")(ancestry)


def put_json(image_id: ImageId) -> Response:
    body = bodies.small(registry().settings.max_image_json)
    actions.image_upload.image_json(registry(), caller(), image_id, body)
    return as_json(True)


def put_layer(image_id: ImageId) -> Response:
    actions.image_upload.layer(registry(), caller(), image_id, bodies.stream(), request.content_length)
    return as_json(True)


def put_checksum(image_id: ImageId) -> Response:
    claimed = request.headers.get("X-Docker-Checksum-Payload")
    if claimed is None:
        raise errors.ChecksumAbsent
    if not claimed:
        raise errors.ChecksumMissing
    actions.image_upload.checksum(registry(), caller(), image_id, claimed)
    return as_json(True)


def get_json(image_id: ImageId) -> Response:
    found = actions.pull.image_json(registry(), caller(), image_id)
    headers = ({"X-Docker-Checksum-Payload": found.payload} if found.payload else {}) | _CACHED
    if found.size is not None:
        headers["X-Docker-Size"] = str(found.size)
    return Response(found.body, headers=headers, content_type="application/json")


def get_layer(image_id: ImageId) -> Response:
    file = actions.pull.layer(registry(), caller(), image_id)
    headers = {"ETag": f'"{file.digest}"', "X-Content-Type-Options": "nosniff"} | _CACHED
    return sending.layer(asked(), file, headers).response()


def ancestry(image_id: ImageId) -> Response:
    return as_json(actions.pull.ancestry(registry(), caller(), image_id), headers=_CACHED)
