"""Answers: JSON, the two error shapes, and layer files handed to nginx or sent from here."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from pier_registry import errors
from pier_registry.actions.pull import LayerFile
from pier_registry.web import bodies
from pier_registry.web.context import doors, registry
from pier_registry.web.routing import Refused

log = logging.getLogger("pier.web")

_RANGE: Final = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)
_PIECE: Final = 1 << 18
V1_PATHS: Final = ("/v1", "/_ping")


def as_json(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """No trailing newline: old clients compare some bodies to the byte."""
    return Response(json.dumps(value), status, headers, content_type="application/json")


def of_error(error: errors.PierError) -> Response:
    """`{"error": text}` for v1, whose clients decode a flat map of strings; the OCI list elsewhere."""
    if request.path.startswith(V1_PATHS):
        body: dict[str, Any] = {"error": error.v1_text}
    else:
        body = {"errors": [{"code": error.code, "message": error.message, "detail": error.detail}]}
    return as_json(body, error.status, error.headers())


def install(app: Flask) -> None:
    """One door for every error; nothing leaves as HTML or as a traceback."""

    @app.errorhandler(errors.PierError)
    def refused(error: errors.PierError) -> Response:
        return bodies.drain_after(of_error(error))

    @app.errorhandler(HTTPException)
    def by_http(error: HTTPException) -> Response:
        return bodies.drain_after(of_error(_from_http(error)))

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


@dataclass(frozen=True, slots=True)
class Span:
    """The bytes `start` to `end` inclusive that a Range header asks for."""

    start: int
    end: int

    @property
    def length(self) -> int:
        return self.end - self.start + 1


def layer(file: LayerFile, headers: Mapping[str, str]) -> Response:
    """A layer's bytes; one range is honoured, others are ignored, a start beyond the end is an empty 416.

    docker resumes with an end one past the last byte, and takes 416 with Content-Length 0 for "all there".
    A conditional range gets the whole, which is always right.
    """
    asked = None if "If-Range" in request.headers else request.headers.get("Range")
    wanted = _single_range(asked, file.size)
    if wanted is not None and wanted.start >= file.size:
        return Response(status=416, headers={"Content-Range": f"bytes */{file.size}", "Content-Length": "0"})
    answer = _streamed(file, wanted) if doors().direct else _by_nginx(file, wanted)
    answer.headers.extend(headers)
    answer.headers["Content-Type"] = "application/octet-stream"
    answer.headers["Content-Disposition"] = "attachment"
    answer.headers["Accept-Ranges"] = "bytes"
    return answer


def _by_nginx(file: LayerFile, wanted: Span | None) -> Response:
    """nginx would follow a link that somebody put in a layer's place, so the storage looks first."""
    if registry().storage.size(file.path) is None:
        raise errors.ImageUnknown
    area = "_whole" if wanted is None else "_layers"
    return Response(headers={"X-Accel-Redirect": f"/{area}/{file.path.removeprefix('layers/')}"})


def _streamed(file: LayerFile, wanted: Span | None) -> Response:
    span = wanted or Span(0, file.size - 1)
    try:
        opened = registry().storage.open(file.path)
    except FileNotFoundError:
        raise errors.ImageUnknown from None
    opened.seek(span.start)
    headers = {"Content-Length": str(span.length)}
    if wanted:
        headers["Content-Range"] = f"bytes {span.start}-{span.end}/{file.size}"
    answer = Response(_pieces(opened, span.length), 206 if wanted else 200, headers, direct_passthrough=True)
    answer.call_on_close(opened.close)
    return answer


def _pieces(opened: BinaryIO, left: int) -> Iterator[bytes]:
    while left > 0 and (piece := opened.read(min(left, _PIECE))):
        left -= len(piece)
        yield piece


def _single_range(header: str | None, size: int) -> Span | None:
    """None for no range, a malformed one, several, or one that is the whole of an empty file."""
    match = _RANGE.fullmatch(header.strip()) if header else None
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        last = min(int(match[2]), size)
        return Span(size - last, size - 1) if last else Span(size, size)
    start = int(match[1])
    end = min(int(match[2]), size - 1) if match[2] else size - 1
    if start < size and end < start:
        return None
    return Span(start, end)
