"""v2 is not served yet. The answer is 404 without the api-version header, before any password: so clients that
know both protocols go on to v1 at once."""

from __future__ import annotations

from typing import NoReturn

from flask import Blueprint

from pier_registry import errors
from pier_registry.web.gate import open_to_all

_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]


def blueprint() -> Blueprint:
    room = Blueprint("v2", __name__)
    room.add_url_rule("/v2/", view_func=absent, methods=_METHODS)
    room.add_url_rule("/v2/<path:rest>", view_func=absent, methods=_METHODS)
    return room


@open_to_all
def absent(rest: str = "") -> NoReturn:
    raise errors.RouteUnknown("this registry speaks v1 only: use a client that does")
