"""Two who write one field by turns would do so for ever: after a few repairs the operator lets the other have it."""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable
from typing import Final

Place = tuple[str, str, str]  # namespace, kind, name

_REPAIRS: Final = 5
_WITHIN: Final = 600.0


class Contests:
    """Remembers when each object was repaired. Safe for threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._repairs: defaultdict[Place, deque[float]] = defaultdict(deque)
        self._left_until: dict[Place, float] = {}

    def may_repair(self, place: Place) -> bool:
        """Whether to repair an object that somebody has changed; counts as a repair when so."""
        now = self._clock()
        with self._lock:
            if now < self._left_until.get(place, 0.0):
                return False
            times = self._repairs[place]
            while times and times[0] <= now - _WITHIN:
                times.popleft()
            if len(times) >= _REPAIRS:
                self._left_until[place] = now + _WITHIN
                times.clear()
                return False
            times.append(now)
            return True
