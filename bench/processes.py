"""Processes of a running registry and the memory that is theirs alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_EVERY: Final = 0.02  # seconds


@dataclass(frozen=True, slots=True)
class Worker:
    """`kind` is `gunicorn worker` or `nginx worker`."""

    pid: int
    kind: str


def workers(root: int) -> list[Worker]:
    """The workers below the process `root`, which is `pier serve`."""
    below = _descendants(root)
    commands = {pid: _command(pid) for pid in below}
    masters = {pid for pid in below if "pier_registry.serving" in commands[pid] and _parent(pid) == root}
    gunicorn = [Worker(pid, "gunicorn worker") for pid in below if _parent(pid) in masters]
    return gunicorn + [Worker(pid, "nginx worker") for pid in below if "nginx: worker process" in commands[pid]]


def anonymous(pid: int) -> int:
    """RssAnon in bytes; 0 when the process is gone."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
    return 0


@contextmanager
def peaks(watched: list[Worker]) -> Iterator[dict[int, int]]:
    """The most that each worker held while the block ran, by pid, in bytes."""
    seen = {worker.pid: 0 for worker in watched}
    done = threading.Event()

    def watch() -> None:
        while True:
            for pid, most in seen.items():
                seen[pid] = max(most, anonymous(pid))
            if done.wait(_EVERY):
                return

    thread = threading.Thread(target=watch, name="watching memory")
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()


def _descendants(root: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            children.setdefault(_parent(int(folder.name)), []).append(int(folder.name))
    found: list[int] = []
    waiting = [root]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return sorted(found)


def _parent(pid: int) -> int:
    """0 when the process is gone."""
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])
    return 0


def _command(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8", errors="replace").replace("\0", " ")
    return ""
