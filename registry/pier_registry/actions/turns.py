"""Threads for bodies: slow uploads, of one user or of many, must leave some for everybody else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from pier_registry import errors


class Turns:
    """At most `most` uploads at once in this process, `each` of them of one user."""

    def __init__(self, most: int, each: int) -> None:
        self._most = most
        self._each = each
        self._running: Counter[str] = Counter()
        self._lock = Lock()

    @contextmanager
    def taken(self, user: str) -> Iterator[None]:
        """Raises Busy, after which clients try again; docker gives up at 429."""
        with self._lock:
            if self._running[user] >= self._each:
                raise errors.Busy("too many uploads of yours run at once: wait for one to end")
            if self._running.total() >= self._most:
                raise errors.Busy("too many uploads run at once: try again in a few seconds")
            self._running[user] += 1
        try:
            yield
        finally:
            with self._lock:
                self._running[user] -= 1
                self._running += Counter()
