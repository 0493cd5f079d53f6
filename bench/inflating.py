"""Inflate a gzip file and hash the tar inside, on one core.

`python -m bench.inflating isal|zlib FILE` prints the seconds.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pier_registry.storage import hashing

_PIECE: Final = 1 << 20
_OUTPUT: Final = 128 << 10


def main() -> None:
    library, path = sys.argv[1], Path(sys.argv[2])
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    tar = hashlib.sha256()
    begin = time.perf_counter()
    for chunk in {"isal": _by_isal, "zlib": _by_zlib}[library](path):
        tar.update(chunk)
    print(time.perf_counter() - begin)


def _by_isal(path: Path) -> Iterator[bytes]:
    """The registry's own inflating."""
    pieces = _pieces(path)
    first = next(pieces)
    start = hashing.compression(first)
    assert start is not None, f"{path} is not compressed"
    yield from hashing.inflated(_chained(first, pieces), start)


def _chained(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _by_zlib(path: Path) -> Iterator[bytes]:
    stream = zlib.decompressobj(16 + zlib.MAX_WBITS)
    for piece in _pieces(path):
        data = piece
        while data:
            yield stream.decompress(data, _OUTPUT)
            data = stream.unconsumed_tail
    yield stream.flush()


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            yield piece


if __name__ == "__main__":
    main()
