"""A body that takes its time keeps what its pusher was promised."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from pier_registry import errors
from pier_registry.storage.base import Readable

EVERY: Final = 60.0  # seconds


@dataclass(slots=True)
class Heartbeat:
    """A body that tells once a minute that it is still coming."""

    source: Readable
    beat: Callable[[], object]
    next: float = 0.0

    def readinto(self, buffer: memoryview, /) -> int:
        now = time.monotonic()
        if not self.next:
            self.next = now + EVERY
        elif now > self.next:
            self.next = now + EVERY
            # A database that is away for a moment must not end an upload of an hour.
            with suppress(errors.Unavailable):
                self.beat()
        return self.source.readinto(buffer)
