"""HTTP/1.1 as Go's net/http writes it: header order and spelling, hand-made chunks, one connection per request."""

from __future__ import annotations

import gzip
import json
import select
import socket
import ssl
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

TIMEOUT = 120.0
READ = 1 << 16
WRITE_BUFFER = 4096
# What a Go 1.4 client offers: an old engine never speaks TLS 1.3.
_CIPHERS = (
    "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-GCM-SHA256:"
    "ECDHE-RSA-AES128-SHA:ECDHE-ECDSA-AES128-SHA:AES128-SHA:AES256-SHA"
)

Body = bytes | Iterable[bytes] | None


@dataclass(frozen=True, slots=True)
class Response:
    """A whole answer; `headers` answers to any spelling, `get_all` gives repeated lines."""

    status: int
    headers: HTTPMessage
    body: bytes

    def header(self, name: str) -> str:
        """The first line of that name, empty when there is none."""
        return str(self.headers.get(name, ""))

    def json(self) -> Any:
        return json.loads(self.body)


class ClientError(Exception):
    """What docker would show its user; `response` is the answer that it did not like, when there was one."""

    def __init__(self, message: str, response: Response | None = None) -> None:
        super().__init__(message)
        self.response = response


class ConnectionLost(ClientError):
    """The connection could not be made, or ended early."""


class Cut(Exception):
    """Raised by a body that wants its connection ended right there, in the middle."""


def head(method: str, url: str, agent: str, headers: Mapping[str, str | list[str]], body: Body) -> bytes:
    """Request line and headers: fixed ones, then the request's own sorted by name, then the transport's."""
    target = urlsplit(url)
    lines = [f"{method} {target.path}{'?' + target.query if target.query else ''} HTTP/1.1", f"Host: {target.netloc}"]
    lines += [f"User-Agent: {agent}"] if agent else []
    lines += _framing(method, body)
    for name in sorted(headers):
        values = headers[name]
        lines += [f"{name}: {value}".rstrip(" ") for value in ([values] if isinstance(values, str) else values)]
    lines += [] if {"Range", "Accept-Encoding"} & headers.keys() or method == "HEAD" else ["Accept-Encoding: gzip"]
    lines += ["Connection: close", "", ""]
    return "\r\n".join(lines).encode("utf-8")


def _framing(method: str, body: Body) -> list[str]:
    if body is None:
        return ["Content-Length: 0"] if method in {"PUT", "POST"} else []
    return [f"Content-Length: {len(body)}"] if isinstance(body, bytes) else ["Transfer-Encoding: chunked"]


class Wire:
    """Makes connections; trusts `ca` alone. Without one it speaks plain http.

    `address` is where every host is, in the place of a name server.
    """

    def __init__(self, ca: Path | None, address: str = "") -> None:
        self._address = address
        self.scheme = "https" if ca else "http"
        self._tls = _tls(ca) if ca else None

    def send(
        self, method: str, url: str, agent: str, headers: Mapping[str, str | list[str]], body: Body
    ) -> HTTPResponse:
        """The answer, its body still to be read (close it). Raises ConnectionLost, and Cut when the body does."""
        try:
            with self._connect(url) as connection:
                _write(connection, head(method, url, agent, headers, body), body)
                return _begun(HTTPResponse(connection, method=method))
        except (OSError, HTTPException) as wrong:
            reason = str(wrong) or type(wrong).__name__
            raise ConnectionLost(f"{method.capitalize()} {url}: {reason}") from wrong

    def _connect(self, url: str) -> socket.socket:
        target = urlsplit(url)
        host = target.hostname or ""
        port = target.port or (443 if target.scheme == "https" else 80)
        plain = socket.create_connection((self._address or host, port), timeout=TIMEOUT)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if target.scheme == "http":
            return plain
        if self._tls is None:
            plain.close()
            raise OSError("x509: certificate signed by unknown authority")
        return self._tls.wrap_socket(plain, server_hostname=host)


def _begun(response: HTTPResponse) -> HTTPResponse:
    try:
        response.begin()
    except BaseException:
        response.close()
        raise
    return response


def _tls(ca: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cafile=str(ca))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    return context


def _write(connection: socket.socket, start: bytes, body: Body) -> None:
    """A registry may refuse and close before it has read everything: then its answer is what counts."""
    try:
        if body is None or isinstance(body, bytes):
            connection.sendall(start + (body or b""))
        else:
            connection.sendall(start)
            _write_chunks(connection, body)
    except (BrokenPipeError, ConnectionResetError, ssl.SSLEOFError, ssl.SSLZeroReturnError):
        return


def _write_chunks(connection: socket.socket, body: Iterable[bytes]) -> None:
    waiting = bytearray()
    try:
        for piece in body:
            waiting += b"%x\r\n%b\r\n" % (len(piece), piece) if piece else b""
            if len(waiting) >= WRITE_BUFFER:
                if _answered(connection):
                    return
                connection.sendall(waiting)
                waiting.clear()
    except Cut:
        connection.sendall(waiting)
        raise
    connection.sendall(waiting + b"0\r\n\r\n")


def _answered(connection: socket.socket) -> bool:
    """Whether the registry spoke before the body's end; Go stops sending then."""
    return bool(select.select([connection], [], [], 0)[0])


def whole(response: HTTPResponse) -> Response:
    """Read and close; a gzip content encoding is undone, as Go does. Raises ConnectionLost."""
    try:
        with response:
            body = response.read()
        if response.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
    except (OSError, HTTPException, EOFError, zlib.error) as wrong:
        raise ConnectionLost(f"unexpected EOF: {wrong}") from wrong
    return Response(response.status, response.headers, body)


def pieces(response: HTTPResponse) -> Iterator[bytes]:
    """The body bit by bit; closes at its end. Raises ConnectionLost when it ends early."""
    try:
        with response:
            while piece := response.read(READ):
                yield piece
            missing = response.length
    except (OSError, HTTPException) as wrong:
        raise ConnectionLost(f"unexpected EOF: {wrong}") from wrong
    if missing:
        raise ConnectionLost(f"unexpected EOF: {missing} bytes are missing")
