"""A stored layer looked into: how it is packed, what tar is in it, and the same tar packed with gzip."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from io import RawIOBase
from typing import BinaryIO, Final, Literal

from pier_registry.names import Digest
from pier_registry.storage.hashing import Digester, compression, inflated

Form = Literal["gzip", "tar", "other"]
_PIECE: Final = 1 << 20
_GZIP: Final = b"\x1f\x8b"
_LEVEL: Final = 6


def form(file: BinaryIO) -> Form:
    """`other` is bzip2 or xz, for which no v2 client has a name."""
    file.seek(0)
    head = file.read(6)
    file.seek(0)
    if head.startswith(_GZIP):
        return "gzip"
    return "other" if compression(head) else "tar"


def uncompressed(file: BinaryIO, most: int) -> Digest | None:
    """The digest of the tar inside, up to `most` bytes of it; None for what is no tar, or damaged."""
    file.seek(0)
    with Digester(b"", most) as digester:
        while piece := file.read(_PIECE):
            digester.update(piece)
        return digester.finish().uncompressed


def gzipped(file: BinaryIO) -> RawIOBase:
    """The tar of a layer in another form, packed with gzip; the same bytes each time."""
    return _Gzipped(_packed(file))


def _packed(file: BinaryIO) -> Iterator[bytes]:
    file.seek(0)
    start = compression(file.read(6))
    file.seek(0)
    assert start is not None  # noqa: S101  asked for other forms only
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, 31)
    for piece in inflated(iter(lambda: file.read(_PIECE), b""), start):
        yield packer.compress(piece)
    yield packer.flush()


class _Gzipped(RawIOBase):
    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = filter(None, pieces)  # a packer may have nothing to give yet
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        self._rest = self._rest or next(self._pieces, b"")
        came = min(len(buffer), len(self._rest))
        buffer[:came], self._rest = self._rest[:came], self._rest[came:]
        return came
