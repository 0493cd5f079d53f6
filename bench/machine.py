"""The machine that the figures were taken on, so that two reports can be told apart."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from pier_registry.proxy.configuration import Nginx


@dataclass(frozen=True, slots=True)
class Machine:
    """What absolute figures depend on."""

    processor: str
    cores: int
    memory_gib: float
    kernel: str
    python: str
    nginx: str
    commit: str

    @classmethod
    def here(cls) -> Machine:
        return cls(
            processor=_first(r"model name\s*: (.*)", "/proc/cpuinfo") or platform.machine(),
            cores=len(os.sched_getaffinity(0)),
            memory_gib=round(int(_first(r"MemTotal:\s*(\d+)", "/proc/meminfo") or 0) / 2**20, 1),
            kernel=platform.release(),
            python=platform.python_version(),
            nginx=".".join(map(str, Nginx.find().version)),
            commit=_commit(),
        )


def occupied(seconds: float = 1.0) -> float:
    """Cores that are at work now; asked while the benchmark itself rests, so it is the work of others."""
    before, begin = _worked(), time.monotonic()
    time.sleep(seconds)
    return round((_worked() - before) / (time.monotonic() - begin), 2)


def _worked() -> float:
    """Seconds that all cores have worked since the start of the system, or were taken by the host."""
    user, nice, system, _, _, *rest = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]
    return sum(map(int, (user, nice, system, *rest))) / os.sysconf("SC_CLK_TCK")


def _first(pattern: str, path: str) -> str:
    found = re.search(pattern, Path(path).read_text(encoding="utf-8"))
    return found[1].strip() if found else ""


def _commit() -> str:
    told = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return told.stdout.strip() or "unknown"
