"""A containerd in a terminal's host, at the address where `ctr` looks for it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.clients.terminal import Terminal, entering
from tests.parts import cache

READY_WITHIN: Final = 30.0
# Pods are not asked for here; their plugin would look for networks.
_CONFIGURATION: Final = """
version = 2
root = "{home}/root"
state = "{home}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "/run/containerd/containerd.sock"
"""


@contextmanager
def running(terminal: Terminal, home: Path) -> Iterator[None]:
    """Until the end of the block; images and containers lie in `home`."""
    configuration = home / "config.toml"
    configuration.write_text(_CONFIGURATION.format(home=home))
    command = [*entering(terminal.namespace), cache.program("containerd"), "--config", str(configuration)]
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        _wait_for(terminal, process, home / "log")
        yield
    finally:
        process.terminate()
        process.wait(timeout=30)


def _wait_for(terminal: Terminal, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + READY_WITHIN
    while terminal.attempt("ctr --connect-timeout 1s version").returncode:
        if process.poll() is not None or time.monotonic() > deadline:
            raise AssertionError(f"containerd did not start:\n{log.read_text()[-4000:]}")
        time.sleep(0.1)
