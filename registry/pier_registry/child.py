"""Child processes that never outlive their parent, not even one that was killed."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Collection, Sequence
from typing import Final

REFUSED: Final = os.EX_CONFIG  # how a child ends that does not start, and has said why

_PR_SET_PDEATHSIG = 1
# For glibc; a value of the user's own goes before.
_MEMORY = {
    # What transfers had is given back, but not what the next piece of one needs at once.
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": str(2 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(8 << 20),
    # AMD's Zen 3 copies far slower by `rep movsb` between places that are not aligned alike (found by Luna Nova).
    "GLIBC_TUNABLES": f"glibc.cpu.x86_rep_movsb_threshold={1 << 30}",
}


def start(
    command: Sequence[str],
    *,
    stdout: int | None = None,
    files: Collection[int] = (),
    dies_by: signal.Signals = signal.SIGTERM,
) -> subprocess.Popen[bytes]:
    """Run a program in a session of its own, so that a Ctrl-C in the terminal reaches only its parent.

    It inherits the descriptors `files`.

    On Linux the kernel sends it `dies_by` when the thread that called this ends: call it from the main thread.
    """
    return subprocess.Popen(
        list(command),
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        start_new_session=True,
        pass_fds=files,
        env=_MEMORY | os.environ,
        preexec_fn=tied_to(os.getpid(), dies_by),  # noqa: PLW1509  calls nothing that takes a lock
    )


def send(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Signal a child; one that has ended already is left alone."""
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(number)


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a child and all of its session at once."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def tied_to(parent: int, number: signal.Signals) -> Callable[[], None]:
    """For a new process to call: on Linux the kernel sends it `number` when `parent` ends. Takes no lock."""
    if sys.platform != "linux":
        return lambda: None
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def tie() -> None:
        prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
        if os.getppid() != parent:  # it died before the tie was made
            os._exit(1)

    return tie
