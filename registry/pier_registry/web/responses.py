"""Answers in JSON, and the two shapes of errors."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any, Final

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from pier_registry import errors
from pier_registry.web import bodies, gate
from pier_registry.web.rights import User
from pier_registry.web.routing import Refused

log = logging.getLogger("pier.web")

V1_PATHS: Final = ("/v1", "/_ping")


def as_json(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """No trailing newline: old clients compare some bodies to the byte."""
    return Response(json.dumps(value), status, headers, content_type="application/json")


def empty(status: int, headers: Mapping[str, str]) -> Response:
    """Flask would call nothing HTML."""
    answer = Response(status=status, headers=headers)
    del answer.headers["Content-Type"]
    return answer


def for_the_log(user: User) -> dict[str, str]:
    """A header that the front door takes off again."""
    return {"X-Pier-User": user.name.encode("ascii", "backslashreplace").decode()}


def of_error(error: errors.PierError) -> Response:
    """`{"error": text}` for v1, whose clients decode a flat map of strings; the OCI list elsewhere."""
    if request.path.startswith(V1_PATHS):
        body: dict[str, Any] = {"error": error.v1_text}
    else:
        body = {"errors": error.entries()}
    return as_json(body, error.status, error.headers())


def install(app: Flask) -> None:
    """One door for every error; nothing leaves as HTML or as a traceback."""

    @app.errorhandler(errors.PierError)
    def refused(error: errors.PierError) -> Response:
        return bodies.drain(of_error(gate.told(error)))

    @app.errorhandler(HTTPException)
    def by_http(error: HTTPException) -> Response:
        return bodies.drain(of_error(_from_http(error)))

    @app.errorhandler(Exception)
    def unforeseen(error: Exception) -> Response:
        log.exception("unforeseen", exc_info=error)
        return of_error(errors.PierError("the registry failed: its log tells why"))

    @app.errorhandler(OSError)
    def broken(error: OSError) -> Response:
        log.warning("body or disk broke", extra={"error": str(error)})
        return of_error(errors.Unavailable("the transfer or the disk broke: try again"))


def _from_http(error: HTTPException) -> errors.PierError:
    if isinstance(error, Refused):
        return error.error
    if isinstance(error, MethodNotAllowed):
        allow = ", ".join(sorted(error.valid_methods or ()))
        return errors.Unsupported("this address does not take that method", allow)
    if error.code == 404:
        return errors.RouteUnknown()
    refused = errors.Invalid(error.description or "the request cannot be understood")
    refused.status = error.code or 400
    return refused
