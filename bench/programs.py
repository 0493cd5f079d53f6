"""The benchmark's own programs in Go, each built once for each version of its source."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from functools import partial
from pathlib import Path

from tests.parts import cache


class Unprepared(Exception):
    """This machine lacks something that the benchmark needs."""


def built(name: str) -> Path:
    """Path of the program of `bench/<name>/main.go`. Raises Unprepared without Go."""
    source = Path(__file__).with_name(name) / "main.go"
    version = hashlib.sha256(source.read_bytes()).hexdigest()[:16]
    return cache.made(f"bench-{name}-{version}", partial(_build, source)) / name


def _build(source: Path, draft: Path) -> None:
    go = shutil.which("go", path=f"{cache.SYSTEM_PATH}:/usr/local/go/bin")
    if go is None:
        raise Unprepared("Go is not installed, and the benchmark's programs are compiled with it: put go on the PATH")
    done = subprocess.run(
        [go, "build", "-trimpath", "-o", draft / source.parent.name, source],
        cwd=source.parent,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if done.returncode:
        raise Unprepared(f"{source} does not compile: {done.stderr}")
