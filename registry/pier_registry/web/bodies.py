"""Bodies of requests: small ones read whole up to a limit, large ones handed on as a stream."""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, cast

from flask import request
from gunicorn.http.errors import ParseException  # type: ignore[import-untyped]

from pier_registry import errors
from pier_registry.storage.base import Readable

SMALL: Final = 1 << 20
_DRAINED: Final = 8 << 20
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


def drain() -> None:
    """Read what is left of a refused body, within reason: a client that still sends would miss the answer.

    A slow one must not keep a thread for it, so after a second its connection is read without waiting.
    """
    connection = request.environ.get("gunicorn.socket")
    if connection is None or not (request.content_length or "Transfer-Encoding" in request.headers):
        return
    connection.settimeout(_PATIENCE)
    impatience = threading.Timer(_PATIENCE, connection.settimeout, [0.0])
    impatience.start()
    try:
        _read_on()
    finally:
        impatience.cancel()
        impatience.join()
        connection.settimeout(None)


def _read_on() -> None:
    left = _DRAINED
    with suppress(errors.Invalid):
        while left > 0 and (piece := stream().read(min(left, SMALL))):
            left -= len(piece)
