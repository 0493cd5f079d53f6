"""A user's terminal on a host of its own: what its lines change below /etc, /run and /var/lib stays in one folder.

The host is a mount namespace, so the places where users put certificates and logins are the real ones.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.parts import cache

_OWN_PLACES: Final = ("/etc", "/run", "/var/lib")
# An overlay keeps what is written to a place; semaphores of podman live in /dev/shm.
_OVERLAY: Final = """
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$1"
"""
_HOLD: Final = "mount -t tmpfs tmpfs /dev/shm; echo ready; exec cat"
# Exports live until the terminal is closed, as in any shell.
_LINES: Final = """
cd "$1"
if [ -e .exported ]; then . ./.exported; fi
eval "$2"
export -p > .exported
"""


@dataclass(frozen=True, slots=True)
class Terminal:
    """`folder` is where the lines run; `namespace` a process of the host."""

    folder: Path
    namespace: int
    environment: Mapping[str, str]

    def run(self, lines: str) -> str:
        """Type these lines; both outputs. Raises AssertionError with them when one line fails."""
        done = self.attempt(lines)
        assert done.returncode == 0, f"exit {done.returncode} of:\n{lines}\n{done.stdout}"
        return done.stdout

    def attempt(self, lines: str) -> subprocess.CompletedProcess[str]:
        """As `run`, for lines that may fail; standard output holds both."""
        return subprocess.run(
            [*entering(self.namespace), "sh", "-euc", _LINES, "sh", str(self.folder), lines],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )


@contextmanager
def own_host(programs: Mapping[str, Path], environment: Mapping[str, str] = os.environ) -> Iterator[Terminal]:
    """A host that starts these programs by their names, until the end of the block."""
    with _namespace() as namespace:
        home = Path(tempfile.mkdtemp(prefix="pier-host-"))
        try:
            (home / "lines").mkdir()
            for place in _OWN_PLACES:
                _lay_over(namespace, place, home / "places" / place.replace("/", "-"))
            _name(programs, home / "bin")
            yield Terminal(home / "lines", namespace, _environment(environment, home))
        finally:
            shutil.rmtree(home)


@contextmanager
def _namespace() -> Iterator[int]:
    """A process in a mount namespace that ends with it."""
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-euc", _HOLD]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stdout.readline() == "ready\n"
        try:
            yield holder.pid
        finally:
            holder.stdin.close()


def _lay_over(namespace: int, place: str, kept: Path) -> None:
    for folder in ("upper", "work"):
        (kept / folder).mkdir(parents=True)
    command = [*entering(namespace), "sh", "-euc", _OVERLAY, "sh", place, str(kept)]
    subprocess.run(command, check=True, timeout=60)


def entering(namespace: int) -> list[str]:
    return ["nsenter", "--mount", "--target", str(namespace), "--"]


def _environment(inherited: Mapping[str, str], home: Path) -> Mapping[str, str]:
    """Logins and caches go to a home of the terminal's own."""
    kept = {key: value for key, value in inherited.items() if not key.startswith(("XDG_", "SSL_", "REGISTRY_"))}
    return kept | {"HOME": str(home), "PATH": f"{home / 'bin'}{os.pathsep}{cache.SYSTEM_PATH}"}


def _name(programs: Mapping[str, Path], folder: Path) -> None:
    """Scripts, since a program that is one itself may look for its files beside the name that it was called by."""
    folder.mkdir()
    for name, program in programs.items():
        script = folder / name
        script.write_text(f'#!/bin/sh\nexec {program} "$@"\n')
        script.chmod(0o755)
