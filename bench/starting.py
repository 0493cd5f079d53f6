"""Servers beside the registry: started, waited for, and stopped again."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench.programs import Unprepared

_READY_WITHIN: Final = 10.0


@contextmanager
def started(
    what: str, command: Sequence[str], port: int, log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[None]:
    """The program listens on the port within the block; what it says goes to `log`. Raises Unprepared."""
    with log.open("wb") as written:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=written,
            env=os.environ | dict(environment or {}),
        )
    try:
        _await(what, process, port, log)
        yield
    finally:
        process.terminate()
        process.wait(timeout=30)


def _await(what: str, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _READY_WITHIN
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                told = log.read_text(encoding="utf-8", errors="replace")
                raise Unprepared(f"{what} did not start: {told[-4000:]}") from None
            time.sleep(0.02)
        else:
            return
