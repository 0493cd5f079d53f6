"""An end on request, by Ctrl-C or SIGTERM, that still takes down what runs, in every worker of `pytest -n` too.

xdist itself lets its workers ten seconds for that, and what they started would stay behind.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from types import FrameType
from typing import Any, Final

import pytest

# Of one worker, whose engines and clusters go one after the other.
_WITHIN: Final = 120.0


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _end_once)
        return
    signal.signal(signal.SIGTERM, _end)
    if config.getoption("numprocesses", None):
        config.pluginmanager.register(_Workers())


def _end(_signal: int, _frame: FrameType | None) -> None:
    """As Ctrl-C: pytest then runs every fixture's clean-up, which a plain SIGTERM would not."""
    raise KeyboardInterrupt("asked to end")


def _end_once(number: int, frame: FrameType | None) -> None:
    """A worker may be asked by its terminal, by the controller and by xdist: that must not disturb the clean-up."""
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, signal.SIG_IGN)
    _end(number, frame)


class _Workers:
    """The controller passes the wish on, and waits."""

    def __init__(self) -> None:
        self._running: list[Any] = []

    def pytest_testnodeready(self, node: Any) -> None:
        self._running.append(node)

    def pytest_testnodedown(self, node: Any) -> None:
        if node in self._running:
            self._running.remove(node)

    def pytest_keyboard_interrupt(self) -> None:
        for node in self._running:
            with suppress(ProcessLookupError):
                os.kill(node.gateway._rinfo().pid, signal.SIGTERM)
        for node in self._running:
            with suppress(node.channel.RemoteError, node.channel.TimeoutError):
                node.channel.waitclose(_WITHIN)
