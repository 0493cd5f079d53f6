"""The real parts, for every test; and an end on request that still takes down what runs."""

from __future__ import annotations

import signal
from types import FrameType

pytest_plugins = ["tests.parts.fixtures"]


def pytest_configure() -> None:
    signal.signal(signal.SIGTERM, _end)


def _end(_signal: int, _frame: FrameType | None) -> None:
    """As Ctrl-C: pytest then runs every fixture's clean-up, which a plain SIGTERM would not."""
    raise KeyboardInterrupt("asked to end")
