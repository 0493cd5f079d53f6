"""Signals that ask for an end, as something to wait for."""

from __future__ import annotations

import contextlib
import os
import select
import signal
from typing import Final, Self

_ENDS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)


class Signals:
    """Through a pipe: a handler may take no lock."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)

    @classmethod
    def caught(cls) -> Self:
        signals = cls()
        for number in _ENDS:
            signal.signal(number, signals._note)
        return signals

    def let_go(self) -> None:
        """They have their usual effect again; one that nobody waited for has it now."""
        for number in _ENDS:
            signal.signal(number, signal.SIG_DFL)
        missed = self.wait(0)
        os.close(self._read)
        os.close(self._write)
        if missed:
            signal.raise_signal(signal.SIGTERM)

    def wait(self, timeout: float) -> bool:
        """Whether one came; several at once are one."""
        ready, _, _ = select.select([self._read], [], [], timeout)
        if ready:
            os.read(self._read, 4096)
        return bool(ready)

    def _note(self, *_: object) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self._write, b"!")
