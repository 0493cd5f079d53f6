"""Layers as docker's v1 engines send them: a tar of this host's libraries through gzip, made once and kept."""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import IO, BinaryIO, Final, cast

from bench.programs import Unprepared
from tests.parts import cache

MIB: Final = 1 << 20
_ROOT: Final = Path("/usr/lib")
_VERSION: Final = 1
_PIECE: Final = 32 << 10  # old engines flush the gzip stream after each
_SAMPLE: Final = 64 << 10
_LEAST_RATIO: Final = 2.0
# Archives within the libraries are left out: what does not shrink makes inflating look cheap.
_SHRINKS_TO: Final = 0.7


@dataclass(frozen=True, slots=True)
class Layer:
    """A gzip file of `size` bytes that inflates to `inflated`; `digest` is its sha256."""

    path: Path
    size: int
    inflated: int
    digest: str

    @property
    def ratio(self) -> float:
        return self.inflated / self.size


def layer(size: int, largest: int | None = None) -> Layer:
    """A layer of at least `size` bytes as sent, of files of at most `largest`.

    Raises Unprepared when its data shrinks less than a real layer's.
    """
    limit = "" if largest is None else f"-{largest}"
    place = cache.made(f"bench-layer-{_VERSION}-{size}{limit}", lambda draft: _make(draft, size, largest))
    told = json.loads((place / "told.json").read_text(encoding="ascii"))
    return real(Layer(place / "layer.tar.gz", told["size"], told["inflated"], told["digest"]))


def real(made: Layer) -> Layer:
    """The same. Raises Unprepared when its data shrinks less than a real layer's."""
    if made.ratio < _LEAST_RATIO:
        raise Unprepared(f"{_ROOT} shrinks {made.ratio:.1f} times only, and a layer as real as it should be twice")
    return made


def _make(draft: Path, size: int, largest: int | None) -> None:
    made, _ = pack(draft / "layer.tar.gz", files(largest), size)
    told = {"size": made.size, "inflated": made.inflated, "digest": made.digest}
    (draft / "told.json").write_text(json.dumps(told), encoding="ascii")


def pack(path: Path, source: Iterator[tuple[Path, str]], size: int) -> tuple[Layer, str]:
    """Take files off `source` until the layer at `path` has `size` bytes; the layer, and the sha256 of its tar."""
    with path.open("wb") as file:
        stream = _Deflated(file)
        with tarfile.open(fileobj=cast(IO[bytes], stream), mode="w|", bufsize=_PIECE) as tar:
            while stream.size < size:
                each, name = next(source)
                tar.add(each, name, recursive=False)
        stream.finish()
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Layer(path, stream.size, stream.inflated, digest), stream.tar.hexdigest()


def files(largest: int | None = None) -> Iterator[tuple[Path, str]]:
    """Files that shrink, in order of path, and from the start again for layers larger than all of them."""
    for turn in count():
        for folder, folders, names in os.walk(_ROOT):
            folders.sort()
            for name in sorted(names):
                path = Path(folder, name)
                if _is_wanted(path) and (largest is None or path.stat().st_size <= largest):
                    yield path, f"{turn}/{path.relative_to('/')}"


def _is_wanted(path: Path) -> bool:
    if path.is_symlink() or not path.is_file() or not os.access(path, os.R_OK):
        return False
    with path.open("rb") as file:
        sample = file.read(_SAMPLE)
    return bool(sample) and len(zlib.compress(sample, 1)) < _SHRINKS_TO * len(sample)


class _Deflated:
    """A file to write to; what arrives goes on through gzip level 1."""

    def __init__(self, target: BinaryIO) -> None:
        self._target = target
        self._gzip = zlib.compressobj(1, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
        self.tar = hashlib.sha256()
        self.size = 0
        self.inflated = 0

    def write(self, data: bytes) -> int:
        self.inflated += len(data)
        self.tar.update(data)
        self._put(self._gzip.compress(data) + self._gzip.flush(zlib.Z_SYNC_FLUSH))
        return len(data)

    def finish(self) -> None:
        self._put(self._gzip.flush())

    def _put(self, data: bytes) -> None:
        self.size += len(data)
        self._target.write(data)
