"""Waiting for a database that starts at the same time."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final, TypeVar

from pier_registry.errors import Unavailable

log = logging.getLogger("pier.start")
Made = TypeVar("Made")

_PAUSE: Final = 1.0  # seconds


def patiently(work: Callable[[], Made], seconds: float, pause: Callable[[float], object]) -> Made:
    """What `work` makes, once the database answers: it may start at the same time, as when a node comes back.

    Ends early, as it does after `seconds`, when `pause` returns something true. Raises Unavailable then.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            return work()
        except Unavailable as away:
            if time.monotonic() >= deadline:
                raise
            log.warning("%s", away)
            if pause(_PAUSE):
                raise
