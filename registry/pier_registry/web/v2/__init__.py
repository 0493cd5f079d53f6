"""Registry v2, OCI distribution 1.1: `blueprint()` holds all of its routes."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, Response, request

from pier_registry.web import token_endpoint, v2_clients
from pier_registry.web.responses import as_json
from pier_registry.web.v2 import blobs, lists, manifests, referrers, uploads

# By this header docker tells v2 from v1.
NAMED: Final = {"Docker-Distribution-Api-Version": "registry/2.0"}


def blueprint() -> Blueprint:
    room = Blueprint("v2", __name__)
    room.get("/v2/")(base)
    for part in (token_endpoint, lists, uploads, blobs, manifests, referrers):
        part.register(room)
    room.after_app_request(_as_a_registry)
    return room


def base() -> Response:
    """Clients find out here that this is a registry, and how to log in."""
    return as_json({})


def _as_a_registry(response: Response) -> Response:
    """Refusals too; engines that must stay on v1 never see the header."""
    if (request.path == "/v2" or request.path.startswith("/v2/")) and not v2_clients.stays_on_v1(request):
        response.headers.update(NAMED)
    return response
