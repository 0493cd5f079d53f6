"""gunicorn's worker with threads, which stay with a connection for a moment after each answer.

Who pulls asks again at once. A thread that is still there answers without the detour over the worker's main loop,
which takes as long as a small answer itself.
"""

from __future__ import annotations

import ctypes
import gc
import select
import socket
import time
from typing import Any, Final

from gunicorn.workers.gthread import ThreadWorker  # type: ignore[import-untyped]

from pier_registry import express, receiving

MOMENT: Final = 20  # milliseconds
_SMALL: Final = 1 << 16
_TIDY_EVERY: Final = 60.0  # seconds

_trim: Final = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc alone


class Worker(ThreadWorker):  # type: ignore[misc]
    """As long as half of its threads are free, so that nobody waits for a thread that waits for nobody."""

    _tidy_at = 0.0

    def load_wsgi(self) -> None:
        """What is there after the start stays, and answers leave few cycles: both need no looking through so often."""
        super().load_wsgi()
        gc.freeze()
        gc.set_threshold(20_000, 20, 20)

    def notify(self) -> None:
        """At least once in a second, from the main loop. Memory of past transfers goes back to the system."""
        super().notify()
        if time.monotonic() >= self._tidy_at and _trim:
            self._tidy_at = time.monotonic() + _TIDY_EVERY
            _trim(0)

    def handle(self, conn: Any) -> Any:
        if not self.cfg.is_ssl and not isinstance(conn.sock, Connection):
            conn.sock = Connection.of(conn.sock)
        kept = self._answered(conn)
        while kept is True and self.alive and self.nr_conns * 2 <= self.cfg.threads and _comes(conn):
            kept = self._answered(conn)
        return kept

    def handle_request(self, req: Any, conn: Any) -> Any:
        if isinstance(conn.sock, Connection):
            req.body = receiving.of(req.body, req, conn.parser.unreader)
        return super().handle_request(req, conn)

    def _answered(self, conn: Any) -> Any:
        kept = self._express(conn) or super().handle(conn)
        if isinstance(conn.sock, Connection):
            try:
                conn.sock.flush()
            except OSError:  # whom the answer was for is gone
                return False
        return kept

    def _express(self, conn: Any) -> bool:
        """Whether the next request of a kept connection is plain, and was answered."""
        if not (conn.initialized and isinstance(conn.sock, Connection) and self.alive) or self._full():
            return False
        conn.sock.setblocking(True)
        if conn.parser.unreader.buf.getvalue():
            return False
        try:
            head = conn.sock.recv(express.MOST)
            environ = express.environment(head)
            if environ is None:
                conn.parser.unreader.unread(head)
                return False
            express.answer(self.wsgi, environ, conn.sock.sendall)
        except OSError:  # gunicorn finds the connection closed, and says nothing of it
            return False
        except Exception:
            self.log.exception("unforeseen on the express way")
            conn.sock.shutdown(socket.SHUT_RDWR)
            return False
        return True

    def _full(self) -> bool:
        return bool(len(self.keepalived_conns) >= self.max_keepalived)


def _comes(conn: Any) -> bool:
    """Whether more of the connection is there to be read; what was read already is the main loop's to find."""
    if conn.parser.unreader.buf.getvalue():
        return False
    poll = select.poll()
    poll.register(conn.sock, select.POLLIN)
    return bool(poll.poll(MOMENT))


class Connection(socket.socket):
    """Sends the head of an answer together with what comes first of its body, so that nginx wakes up once for both.

    Whoever waits for the other side sends what is held back before.
    """

    def __init__(self, family: int, kind: int, fileno: int) -> None:
        super().__init__(family, kind, fileno=fileno)
        self._held = b""

    @classmethod
    def of(cls, plain: socket.socket) -> Connection:
        """The same connection; `plain` is closed to its holder."""
        seconds = plain.gettimeout()
        connection = cls(plain.family, plain.type, plain.detach())
        socket.socket.settimeout(connection, seconds)
        return connection

    def flush(self) -> None:
        held, self._held = self._held, b""
        if held:
            super().sendall(held)

    def sendall(self, data: Any, flags: int = 0) -> None:
        if len(data) > _SMALL:
            self.flush()
            super().sendall(data, flags)
        else:
            self._held += data
            if len(self._held) > _SMALL:
                self.flush()

    def send(self, data: Any, flags: int = 0) -> int:
        self.flush()
        return super().send(data, flags)

    def recv(self, size: int, flags: int = 0) -> bytes:
        self.flush()
        return super().recv(size, flags)

    def recv_into(self, buffer: Any, size: int = 0, flags: int = 0) -> int:
        self.flush()
        return super().recv_into(buffer, size, flags)

    def shutdown(self, how: int) -> None:
        self.flush()
        super().shutdown(how)

    def settimeout(self, seconds: float | None) -> None:
        if seconds != self.gettimeout():
            super().settimeout(seconds)

    def setblocking(self, flag: bool) -> None:
        self.settimeout(None if flag else 0.0)
