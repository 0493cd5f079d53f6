"""The v1 upload of a real layer, beside inflating and hashing the same file on one core."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bench import images, layers
from bench.figures import Bound, Row, compared, interleaved
from bench.images import Image
from bench.stage import Bench, door, serving

NAME: Final = "upload"
_SIZE: Final = 256 * layers.MIB
_BOUND: Final = Bound("at least", 0.70)
_PIECE: Final = 1 << 20


def measure(bench: Bench) -> Iterator[Row]:
    """Json, layer and checksum, all durable, against work in memory that no registry can do without."""
    layer = layers.layer(_SIZE)
    image = Image.of(layer)
    mib = layer.size / layers.MIB
    with serving(bench, "upload") as running:
        here = door(running)

        def pushed(*, plain: bool) -> float:
            seconds = images.push(bench.client, here, image, plain=plain)
            images.delete(bench.client, here)
            return mib / seconds

        pushed(plain=False)
        measured = interleaved(
            bench.rounds,
            {
                "chunked": lambda: pushed(plain=False),
                "isal": lambda: mib / _inflated("isal", layer.path),
                "plain": lambda: pushed(plain=True),
                "zlib": lambda: mib / _inflated("zlib", layer.path),
                "disk": lambda: mib / _written(layer.path, bench.folder / "written"),
            },
        )
    subject = f"v1 layer of {mib:.0f} MiB (shrunk {layer.ratio:.1f} times)"
    for name, how, bound in (
        ("isal", "inflate with isal and sha256, one core", _BOUND),
        ("zlib", "inflate with zlib and sha256, one core", None),
        ("disk", "write and fsync the same bytes", None),
    ):
        yield compared((NAME, f"{subject}, chunked"), "MiB/s", measured["chunked"], (how, measured[name]), bound)
    peers = ("the same, chunked", measured["chunked"])
    yield compared((NAME, f"{subject}, with a length"), "MiB/s", measured["plain"], peers, None)


def _inflated(library: str, path: Path) -> float:
    """Seconds, told by a process of its own on one core."""
    command = [sys.executable, "-m", "bench.inflating", library, str(path)]
    return float(subprocess.run(command, capture_output=True, text=True, timeout=300, check=True).stdout)


def _written(source: Path, target: Path) -> float:
    """Seconds to make the bytes durable; the file goes afterwards."""
    with source.open("rb") as read, target.open("wb", buffering=0) as write:
        begin = time.perf_counter()
        while piece := read.read(_PIECE):
            write.write(piece)
        os.fsync(write.fileno())
        seconds = time.perf_counter() - begin
    target.unlink()
    return seconds
