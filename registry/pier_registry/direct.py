"""What nginx does otherwise, for a registry without it: TLS that follows its files, access log, private port."""

from __future__ import annotations

import contextlib
import json
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from flask import Flask
from gunicorn.glogging import Logger  # type: ignore[import-untyped]
from werkzeug.serving import WSGIRequestHandler, make_server

from pier_registry.settings import Settings

_FOR_THE_FRONT_DOOR = frozenset({"x-pier-user", "x-pier-unread"})
_USER = "pier.user"
_RECEIVED = "pier.received"

Environ = dict[str, Any]
Headers = list[tuple[str, str]]
Stamp = tuple[tuple[int, int], ...]


class _Quiet(WSGIRequestHandler):
    """Probes come every few seconds: no log line for each."""

    def log_request(self, *_: object) -> None:
        return


@contextlib.contextmanager
def private_port(settings: Settings, application: Flask) -> Iterator[None]:
    """Serve the private port in a thread of this process."""
    server = make_server(settings.health_host, settings.health_port, application, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Contexts:
    """One TLS context for all connections, made anew when the certificate files change.

    gunicorn asks for a context at each connection. A pair that cannot be loaded leaves the old one in force.
    """

    def __init__(self) -> None:
        self._context: ssl.SSLContext | None = None
        self._stamp: Stamp = ()
        self._lock = threading.Lock()  # a thread that was slow must not bring an older one back

    def __call__(self, configuration: Any, make: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
        with self._lock:
            stamp = _stamp(configuration.certfile, configuration.keyfile)
            if self._context is None or stamp != self._stamp:
                self._context = self._made(make)
                self._stamp = stamp
            return self._context

    def _made(self, make: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
        try:
            context = make()
        except (OSError, ssl.SSLError):
            if self._context is None:
                raise
            return self._context
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context


def _stamp(*paths: str) -> Stamp:
    try:
        return tuple((found.st_ino, found.st_mtime_ns) for found in map(_found, paths))
    except OSError:
        return ()


def _found(path: str) -> Any:
    return Path(path).stat()


class Application:
    """A WSGI application whose user goes to the log and not to the client, and whose body is counted."""

    def __init__(self, application: Any) -> None:
        self._application = application

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        body = environ["wsgi.input"] = Counted(environ["wsgi.input"])
        environ[_RECEIVED] = body

        def start(status: str, headers: Headers, *rest: Any) -> Any:
            environ[_USER] = next((value for name, value in headers if name.lower() == "x-pier-user"), "")
            return start_response(
                status, [each for each in headers if each[0].lower() not in _FOR_THE_FRONT_DOOR], *rest
            )

        answer: Iterable[bytes] = self._application(environ, start)
        return answer


class Counted:
    """A request body that knows how many bytes were read of it."""

    def __init__(self, body: Any) -> None:
        self._body = body
        self.bytes = 0

    def read(self, size: int = -1) -> bytes:
        return self._note(self._body.read(size) if size >= 0 else self._body.read())

    def readline(self, size: int = -1) -> bytes:
        return self._note(self._body.readline(size) if size >= 0 else self._body.readline())

    def readlines(self, _hint: int = -1) -> list[bytes]:
        return list(self)

    def __iter__(self) -> Iterator[bytes]:
        while line := self.readline():
            yield line

    def _note(self, got: bytes) -> bytes:
        self.bytes += len(got)
        return got


class AccessLog(Logger):  # type: ignore[misc]
    """The same line for a request as nginx writes."""

    def access(self, resp: Any, req: Any, environ: Environ, request_time: timedelta) -> None:
        received = environ.get(_RECEIVED)
        line = {
            "time": datetime.now().astimezone().isoformat(timespec="seconds"),
            "client": environ.get("REMOTE_ADDR", ""),
            "user": environ.get(_USER, ""),
            "method": environ.get("REQUEST_METHOD", ""),
            "uri": environ.get("RAW_URI", ""),
            "status": int(str(resp.status).split(None, 1)[0]),
            "sent": resp.sent,
            "received": received.bytes if isinstance(received, Counted) else 0,
            "seconds": round(request_time.total_seconds(), 3),
            "agent": environ.get("HTTP_USER_AGENT", ""),
            "request": uuid4().hex,
        }
        self.access_log.info("%s", json.dumps(line))
