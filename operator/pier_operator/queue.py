"""Keys that wait to be worked on: each once, by one worker at a time, later after a fault."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from typing import Final

from pier_operator import metrics
from pier_operator.cache import Key, Mark

# A burst of edits is one piece of work: the first at once, the others together, and a long burst twice as slowly.
PAUSE: Final = 0.7
# What a child becomes may open a gate, so it waits only for what comes together.
SOON: Final = 0.2
_NO_BURST: Final = (-inf, PAUSE)
_FIRST_FAULT: Final = 0.2
_LONGEST: Final = 60.0
_TIME: Final[Mark] = ("", "")
_MANY: Final = 100  # marks of one key; an operator that does not lead takes none, and would gather them for ever


@dataclass(slots=True)
class _Wait:
    """When a key is due, by what has asked for it: edits of the resource, and everything else."""

    edits: dict[Mark, float] = field(default_factory=dict)
    others: dict[Mark, float] = field(default_factory=dict)

    def due(self) -> float:
        """A look that finds edits is one for all of them, so nothing hurries it."""
        return min((self.edits or self.others).values())


class Queue:
    """Times are of the monotonic clock."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._ready = threading.Condition()
        self._waits: dict[Key, _Wait] = {}
        self._busy: dict[Key, float] = {}
        self._began: dict[Key, float] = {}
        self._bursts: dict[Key, tuple[float, float]] = {}  # the last look at edits, and the pause after it
        self._faults: dict[Key, int] = {}
        self._closed = False

    def add(self, key: Key, after: float = 0.0) -> None:
        """Work on the key in `after` seconds, or earlier if it is due earlier."""
        with self._ready:
            wait = self._waits.setdefault(key, _Wait())
            _hasten(wait.others, _TIME, max(self._clock() + after, self._rested(key, PAUSE)))
            self._notify()

    def changed(self, key: Key, mark: Mark, edited: bool) -> None:
        """Work on the key because an object has become what `mark` says; `edited` when that is the resource itself."""
        with self._ready:
            wait = self._waits.setdefault(key, _Wait())
            marks = wait.edits if edited else wait.others
            pause = self._bursts.get(key, _NO_BURST)[1] if edited else SOON
            _hasten(marks, mark if len(marks) < _MANY else _TIME, self._rested(key, pause))
            self._notify()

    def withdraw(self, key: Key, mark: Mark) -> None:
        """What `mark` says was no news: a key that waits for nothing else waits no longer."""
        with self._ready:
            wait = self._waits.get(key)
            if wait:
                wait.edits.pop(mark, None)
                wait.others.pop(mark, None)
                if not (wait.edits or wait.others):
                    del self._waits[key]
            self._notify()

    def take(self, patience: float = 1.0) -> Key | None:
        """A key that is due, now busy; None when none has come up in time, or after `close`."""
        deadline = self._clock() + patience
        with self._ready:
            while not self._closed:
                now = self._clock()
                key, due = self._next()
                if key is not None and due <= now:
                    if self._waits.pop(key).edits:
                        goes_on = now < self._bursts.get(key, _NO_BURST)[0] + 3 * PAUSE
                        self._bursts[key] = now, 2 * PAUSE if goes_on else PAUSE
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
        """A registry that is gone; what has been told since is looked at: it may be there anew."""
        with self._ready:
            self._began.pop(key, None)
            self._bursts.pop(key, None)
            self._faults.pop(key, None)

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

    def _rested(self, key: Key, pause: float) -> float:
        """Now, or when its last look is as long ago as that."""
        return max(self._clock(), self._began.get(key, -inf) + pause)

    def _notify(self) -> None:
        metrics.WAITING.set(len(self._waits))
        self._ready.notify()

    def _next(self) -> tuple[Key | None, float]:
        free = [(wait.due(), key) for key, wait in self._waits.items() if key not in self._busy]
        if not free:
            return None, inf
        due, key = min(free)
        return key, due


def _hasten(marks: dict[Mark, float], mark: Mark, due: float) -> None:
    marks[mark] = min(due, marks.get(mark, due))
