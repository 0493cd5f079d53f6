"""What a pull is answered, before it is one of Flask's responses: those take longer than all else of a small answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING

from flask import Response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


@dataclass(frozen=True, slots=True)
class Answer:
    """`headers` tell the length, too, where the status has one. A `body` in pieces may have a `close`."""

    headers: Mapping[str, str]
    body: bytes | Iterable[bytes] = b""
    status: int = 200

    def with_headers(self, more: Mapping[str, str]) -> Answer:
        return Answer({**self.headers, **more}, self.body, self.status)

    def response(self) -> Response:
        """For Flask."""
        made = Response(self.body or None, self.status, self.headers)
        made.direct_passthrough = not isinstance(self.body, bytes)
        if "Content-Type" not in self.headers:  # Flask would call nothing HTML
            del made.headers["Content-Type"]
        return made

    def send(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """For a WSGI server. PEP 3333."""
        start_response(_line(self.status), [*self.headers.items()])
        if not isinstance(self.body, bytes):
            return self.body
        return [self.body] if environ["REQUEST_METHOD"] != "HEAD" else []


def whole(body: bytes, headers: Mapping[str, str]) -> Answer:
    """All of it, with its length."""
    return Answer({**headers, "Content-Length": str(len(body))}, body)


@cache
def _line(status: int) -> str:
    """As Flask's server spells it."""
    return f"{status} {HTTPStatus(status).phrase.upper()}"
