"""Keys that wait to be worked on: each once, by one worker at a time, later after a fault."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import Final

from pier_operator import metrics
from pier_operator.cache import Key

# A burst of changes is one piece of work: the first at once, the others together.
PAUSE: Final = 0.7
_FIRST_FAULT: Final = 0.2
_LONGEST: Final = 60.0


class Queue:
    """`due` is when a key is to be worked on, by the monotonic clock."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._ready = threading.Condition()
        self._due: dict[Key, float] = {}
        self._busy: dict[Key, float] = {}
        self._began: dict[Key, float] = {}
        self._faults: dict[Key, int] = {}
        self._closed = False

    def add(self, key: Key, after: float = 0.0) -> None:
        """Work on the key in `after` seconds, or earlier if it is due earlier."""
        with self._ready:
            now = self._clock()
            earliest = self._began.get(key, now - PAUSE) + PAUSE
            due = max(now + after, earliest)
            self._due[key] = min(due, self._due.get(key, due))
            metrics.WAITING.set(len(self._due))
            self._ready.notify()

    def take(self, patience: float = 1.0) -> Key | None:
        """A key that is due, now busy; None when none has come up in time, or after `close`."""
        deadline = self._clock() + patience
        with self._ready:
            while not self._closed:
                now = self._clock()
                key, due = self._next()
                if key is not None and due <= now:
                    del self._due[key]
                    self._busy[key] = self._began[key] = now
                    return key
                if now >= deadline:
                    return None
                self._ready.wait(min(due, deadline) - now)
            return None

    def done(self, key: Key) -> None:
        with self._ready:
            self._busy.pop(key, None)
            self._faults.pop(key, None)
            self._ready.notify()

    def failed(self, key: Key, at_least: float = 0.0) -> float:
        """Work on it again, each time later; returns in how many seconds."""
        with self._ready:
            self._busy.pop(key, None)
            count = self._faults[key] = self._faults.get(key, 0) + 1
        slower = min(_FIRST_FAULT * 2.0 ** (count - 1), _LONGEST)
        wait = max(slower * random.uniform(0.8, 1.2), at_least)  # noqa: S311
        self.add(key, wait)
        return wait

    def forget(self, key: Key) -> None:
        with self._ready:
            for held in (self._due, self._began, self._faults):
                held.pop(key, None)

    def oldest(self) -> float:
        """For how many seconds a worker has been busy with one key, at most."""
        with self._ready:
            return self._clock() - min(self._busy.values(), default=self._clock())

    def close(self) -> None:
        with self._ready:
            self._closed = True
            self._ready.notify_all()

    @property
    def closed(self) -> bool:
        return self._closed

    def _next(self) -> tuple[Key | None, float]:
        free = [(due, key) for key, due in self._due.items() if key not in self._busy]
        if not free:
            return None, float("inf")
        due, key = min(free)
        return key, due
