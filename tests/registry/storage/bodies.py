"""Bodies as clients send them, whole and broken."""

from __future__ import annotations

import gzip
import hashlib
import io
import struct
import tarfile
from collections.abc import Iterator
from itertools import repeat

from isal import isal_zlib

from pier_registry.names import Digest

MIB = 1 << 20
GIB = 1 << 30


def sha256(data: bytes) -> Digest:
    return Digest.sha256(hashlib.sha256(data).hexdigest())


def tar(**files: bytes) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as writer:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            writer.addfile(member, io.BytesIO(content))
    return archive.getvalue()


def gzip_of_zeros(size: int) -> bytes:
    """One valid gzip member; `size` in bytes, a multiple of 16 MiB."""
    block = bytes(16 * MIB)
    packer = isal_zlib.compressobj(1, wbits=-15)
    once = packer.compress(block) + packer.flush(isal_zlib.Z_FULL_FLUSH)
    crc, count = 0, size // len(block)
    for _ in range(count):
        crc = isal_zlib.crc32(block, crc)
    header = gzip.compress(b"", mtime=0)[:10]
    return header + once * count + packer.flush() + struct.pack("<II", crc, size & 0xFFFFFFFF)


class Source:
    """In pieces, as a connection has them."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""
        self.given = 0

    def readinto(self, buffer: memoryview, /) -> int:
        assert len(buffer) > 0
        if not self._rest:
            self._rest = next(self._pieces, b"")
        came = min(len(buffer), len(self._rest))
        buffer[:came], self._rest = self._rest[:came], self._rest[came:]
        self.given += came
        return came


def whole(data: bytes, piece: int = MIB) -> Source:
    """Arrives in pieces of at most `piece` bytes."""
    return Source(data[at : at + piece] for at in range(0, len(data), piece))


def endless() -> Source:
    return Source(repeat(bytes(MIB)))


def broken(data: bytes, error: BaseException) -> Source:
    """`data`, then the client is gone."""

    def pieces() -> Iterator[bytes]:
        yield data
        raise error

    return Source(pieces())
