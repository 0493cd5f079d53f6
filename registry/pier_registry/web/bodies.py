"""Bodies of requests: small ones read whole up to a limit, large ones handed on as a stream."""

from __future__ import annotations

import json
import socket
import threading
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, cast

from flask import Response, request
from gunicorn.http.errors import ParseException  # type: ignore[import-untyped]

from pier_registry import errors
from pier_registry.storage.base import Readable

SMALL: Final = 1 << 20
_DRAINED: Final = 64 << 20
_PATIENCE: Final = 1.0  # seconds


@dataclass(frozen=True, slots=True)
class _Body:
    """What breaks while it is read is the client's: a connection that ended, or chunks that are none."""

    source: Readable

    def read(self, size: int = -1, /) -> bytes:
        try:
            return self.source.read(size)
        except (OSError, ParseException):
            raise errors.Invalid("the body ended early or is malformed: send it again") from None


def stream() -> Readable:
    """The body as it comes, de-chunked. Flask's own stream hides a body that was cut short.

    Reading raises Invalid when the client's connection breaks.
    """
    return _Body(cast(Readable, request.environ["wsgi.input"]))


def small(limit: int = SMALL) -> bytes:
    """Raises TooLarge beyond `limit`, SizeInvalid when the body ends early."""
    announced = request.content_length
    if announced is not None and announced > limit:
        raise errors.TooLarge(f"the body is larger than {limit} bytes")
    body = stream().read(limit + 1 if announced is None else announced)
    if len(body) > limit:
        raise errors.TooLarge(f"the body is larger than {limit} bytes")
    if announced is not None and len(body) < announced:
        raise errors.SizeInvalid(len(body), announced)
    return body


def json_value() -> Any:
    """Raises JsonInvalid."""
    try:
        return json.loads(small())
    except (ValueError, RecursionError):
        raise errors.JsonInvalid("the body is not JSON", v1_text="Error Decoding JSON") from None


def drain_after(answer: Response) -> Response:
    """Once a refusal is sent, read what is left of the body: a client that still sends would miss the answer."""
    connection = request.environ.get("gunicorn.socket")
    if connection is not None and (request.content_length or "Transfer-Encoding" in request.headers):
        answer.call_on_close(partial(_drain, stream(), connection))
    return answer


def _drain(body: Readable, connection: socket.socket) -> None:
    """A slow client must not keep a thread for it: after a second only what is there already is read."""
    connection.settimeout(_PATIENCE)
    impatience = threading.Timer(_PATIENCE, connection.settimeout, [0.0])
    impatience.start()
    left = _DRAINED
    try:
        while left > 0 and (piece := body.read(min(left, SMALL))):
            left -= len(piece)
    except errors.Invalid:
        return
    finally:
        impatience.cancel()
        impatience.join()
        connection.settimeout(None)
