"""Bodies of requests: small ones read whole up to a limit, large ones handed on as a stream."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from flask import Response, request
from gunicorn.http.errors import ParseException  # type: ignore[import-untyped]

from pier_registry import errors

SMALL: Final = 1 << 20
_DRAINED: Final = 64 << 20
_SHORT: Final = 64 << 10
_PATIENCE: Final = 1.0  # seconds


@dataclass(frozen=True, slots=True)
class Body:
    """As it comes, de-chunked. What breaks while it is read is the client's, and raises Invalid."""

    source: Any  # receiving.Received, or whatever else a server offers, which need not be able to fill a buffer

    def read(self, size: int, /) -> bytes:
        with _blamed():
            return bytes(self.source.read(size))

    def readinto(self, buffer: memoryview, /) -> int:
        with _blamed():
            if hasattr(self.source, "readinto"):
                return int(self.source.readinto(buffer))
            piece = self.source.read(len(buffer))
            buffer[: len(piece)] = piece
            return len(piece)


@contextmanager
def _blamed() -> Iterator[None]:
    """A connection that ended, or chunks that are none."""
    try:
        yield
    except (OSError, ParseException):
        raise errors.Invalid("the body ended early or is malformed: send it again") from None


def stream() -> Body:
    """Of this request. Flask's own stream hides a body that was cut short."""
    return Body(request.environ["wsgi.input"])


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


def drain(answer: Response) -> Response:
    """A refusal takes its body along: a client that still sends would miss the answer.

    A short one is read before. For others the front door closes the connection, so it is told, and what is left is
    read behind the answer.
    """
    connection = request.environ.get("gunicorn.socket")
    announced = request.content_length
    if connection is None or not (announced or "Transfer-Encoding" in request.headers):
        return answer
    if (announced or 0) <= _SHORT and _drained(stream(), connection, _SHORT):
        return answer
    answer.headers["X-Pier-Unread"] = "1"
    answer.call_on_close(partial(_drained, stream(), connection, _DRAINED))
    return answer


def _drained(body: Body, connection: socket.socket, most: int) -> bool:
    """Whether its end was reached. A slow client must not keep a thread: after a second only what is there is read."""
    connection.settimeout(_PATIENCE)
    impatience = threading.Timer(_PATIENCE, connection.settimeout, [0.0])
    impatience.start()
    left = most + 1  # the end shows behind the last byte
    try:
        while left > 0 and (piece := body.read(min(left, SMALL))):
            left -= len(piece)
    except errors.Invalid:
        return False
    finally:
        impatience.cancel()
        impatience.join()
        connection.settimeout(None)
    return left > 0
