"""Bodies of requests: small ones read whole up to a limit, large ones handed on as a stream."""

from __future__ import annotations

import json
from typing import Any, Final, cast

from flask import request

from pier_registry import errors
from pier_registry.storage.base import Readable

SMALL: Final = 1 << 20
_DRAINED: Final = 8 << 20


def stream() -> Readable:
    """The body as it comes, de-chunked. Flask's own stream hides a body that was cut short."""
    return cast(Readable, request.environ["wsgi.input"])


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
    """Read what is left of a refused body, within reason: a client that still sends would miss the answer."""
    left = _DRAINED
    try:
        while left > 0 and (piece := stream().read(min(left, SMALL))):
            left -= len(piece)
    except OSError:
        return
