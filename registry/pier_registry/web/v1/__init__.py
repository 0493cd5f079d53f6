"""Docker Registry v1, the old protocol's own room: `blueprint()` holds all of its routes."""

from __future__ import annotations

from flask import Blueprint, Response, request

from pier_registry.web.responses import V1_PATHS
from pier_registry.web.v1 import images, legacy, ping, repositories, search, tags

VERSION = "0.9.1"


def blueprint() -> Blueprint:
    room = Blueprint("v1", __name__)
    for part in (ping, repositories, images, tags, search, legacy):
        part.register(room)
    room.after_app_request(_as_the_original)
    return room


def _as_the_original(response: Response) -> Response:
    """Headers that the original registry put on every answer; docker up to 0.10 refuses a ping without the first."""
    if request.path.startswith(V1_PATHS):
        response.headers["X-Docker-Registry-Version"] = VERSION
        if "Cache-Control" not in response.headers:
            response.headers["Cache-Control"] = "no-cache"
            response.headers["Pragma"] = "no-cache"
            response.headers["Expires"] = "-1"
    return response
