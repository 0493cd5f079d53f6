"""Pulls of one connection from nginx, read and answered in one go; gunicorn's parser takes several times as long.

Only a head is taken that is there as a whole, of a GET or HEAD without a body, written as nginx writes one. All else is
left as it came, for gunicorn to read and to refuse. RFC 9112, sections 3 and 5.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

Headers = list[tuple[str, str]]

MOST: Final = 1 << 14  # bytes of a head
_LINE: Final = re.compile(rb"(GET|HEAD) (/v2/[a-z0-9._/-]+/(?:manifests|blobs)/[A-Za-z0-9._:-]+) HTTP/1\.1\r\n")
_END: Final = b"\r\n\r\n"
_NAME: Final = re.compile(r"[A-Za-z0-9-]+", re.ASCII)
# What a body, or another kind of connection, would be announced by.
_NOT_PLAIN: Final = frozenset(
    {"CONNECTION", "CONTENT-LENGTH", "EXPECT", "TE", "TRAILER", "TRANSFER-ENCODING", "UPGRADE"}
)
_BARE: Final = frozenset({"204", "304"})


def environment(head: bytes) -> WSGIEnvironment | None:
    """Of a request that is plain; None for another one. PEP 3333."""
    line = _LINE.match(head)
    if line is None or head.find(_END) != len(head) - len(_END):
        return None
    fields = head[line.end() : -len(_END)].decode("latin-1").split("\r\n")
    if head.count(b"\n") != len(fields) + 2 or head.count(b"\r") != len(fields) + 2 or b"\0" in head:
        return None
    path = line[2].decode("ascii")
    environ: WSGIEnvironment = {
        "REQUEST_METHOD": line[1].decode("ascii"),
        "RAW_URI": path,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "",
        "wsgi.version": (1, 0),
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for field in fields:
        name, colon, value = field.partition(": ")
        key = _key(name)
        if not colon or not key or key in environ:
            return None
        environ[key] = value
    return _addressed(environ)


def _addressed(environ: WSGIEnvironment) -> WSGIEnvironment:
    scheme = "https" if environ.get("HTTP_X_FORWARDED_PROTO") == "https" else "http"
    host, _, port = str(environ.get("HTTP_HOST", "")).rpartition(":")
    if not port.isdigit():
        host, port = environ.get("HTTP_HOST", ""), "443" if scheme == "https" else "80"
    environ["wsgi.url_scheme"], environ["SERVER_NAME"], environ["SERVER_PORT"] = scheme, host, port
    return environ


@lru_cache(maxsize=512)
def _key(name: str) -> str:
    """What PEP 3333 calls the header; empty for one that is not plain."""
    known = name.upper()
    return f"HTTP_{known.replace('-', '_')}" if _NAME.fullmatch(name) and known not in _NOT_PLAIN else ""


def answer(application: WSGIApplication, environ: WSGIEnvironment, send: Callable[[bytes], object]) -> None:
    """What the application answers, with a length, so that the connection can be kept."""
    told: list[tuple[str, Headers]] = []

    def start(status: str, headers: Headers, _wrong: Any = None, /) -> Callable[[bytes], object]:
        told.append((status, headers))
        return send

    body: Iterable[bytes] = application(environ, start)
    try:
        status, headers = told[-1]
        head = "\r\n".join([f"HTTP/1.1 {status}", *map(": ".join, headers)])
        if environ["REQUEST_METHOD"] == "HEAD" or status[:3] in _BARE:
            body_bytes = b""
        else:
            body_bytes = b"".join(body)
            if "\r\ncontent-length: " not in head.lower():
                head = f"{head}\r\nContent-Length: {len(body_bytes)}"
        send(head.encode("latin-1") + _END + body_bytes)
    finally:
        if close := getattr(body, "close", None):
            close()
