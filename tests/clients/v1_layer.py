"""Layer bodies: a tar rewritten through gzip on the fly with its tarsum, and the way back."""

from __future__ import annotations

import bz2
import functools
import hashlib
import io
import lzma
import math
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from tests.clients.v1_model import SentLayer
from tests.clients.v1_wire import ClientError, Cut

BLOCK = 512
READ = 32 << 10  # Go copies request bodies in pieces of 32 KiB, and the tarsum reader flushes gzip at each
GZIP_LEVEL = 1
_GZIP_HEADER = bytes.fromhex("1f8b0800" + "00096e88" + "00ff")  # Go before 1.8 writes the zero time like this
_END_OF_TAR = bytes(2 * BLOCK)


def opened(layer: Path | bytes) -> BinaryIO:
    return io.BytesIO(layer) if isinstance(layer, bytes) else layer.open("rb")


class LayerBody:
    """Iterate once for the gzip stream; `sent` then tells what went over. Memory stays at a few pieces."""

    def __init__(self, json: bytes, layer: Path | bytes) -> None:
        self._layer = layer
        self._tarsum = TarSum(json)
        self._payload = hashlib.sha256(json + b"\n")
        self._compressed = hashlib.sha256()
        self._tar = hashlib.sha256()
        self._size = 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._gzip():
            self._payload.update(piece)
            self._compressed.update(piece)
            self._size += len(piece)
            yield piece

    @property
    def sent(self) -> SentLayer:
        return SentLayer(
            size=self._size,
            payload=f"sha256:{self._payload.hexdigest()}",
            tarsum=str(self._tarsum),
            sha256=self._compressed.hexdigest(),
            uncompressed_sha256=self._tar.hexdigest(),
        )

    def _gzip(self) -> Iterator[bytes]:
        deflate = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
        crc, size, start = 0, 0, _GZIP_HEADER
        with opened(self._layer) as file:
            for plain in rewritten(file, self._tarsum):
                self._tar.update(plain)
                crc, size = zlib.crc32(plain, crc), size + len(plain)
                yield start + deflate.compress(plain) + deflate.flush(zlib.Z_SYNC_FLUSH)
                start = b""
        yield deflate.flush() + crc.to_bytes(4, "little") + (size & 0xFFFFFFFF).to_bytes(4, "little")


class TarSum:
    """Tarsum version 0: over the json and the sorted sums of every member.

    Two members of one path stay in the tar's order.
    """

    def __init__(self, json: bytes) -> None:
        self._json = json
        self._sums: list[tuple[str, str]] = []

    def add(self, member: tarfile.TarInfo, content: Iterable[bytes]) -> Iterator[bytes]:
        """Pass the content through; its sum counts once it is read to the end."""
        digest = hashlib.sha256(_header_text(member))
        for piece in content:
            digest.update(piece)
            yield piece
        self._sums.append((member.name.removeprefix("./"), digest.hexdigest()))

    def __str__(self) -> str:
        # Sorting is stable: members of one path compare as equal.
        ordered = sorted(self._sums, key=functools.cmp_to_key(_compare_sums))
        return "tarsum+sha256:" + hashlib.sha256(self._json + "".join(sum_ for _, sum_ in ordered).encode()).hexdigest()


def _compare_sums(one: tuple[str, str], other: tuple[str, str]) -> int:
    return 0 if one[0] == other[0] else (one[1] > other[1]) - (one[1] < other[1])


def _header_text(member: tarfile.TarInfo) -> bytes:
    """Names and values of the twelve header fields, without separators."""
    name = member.name + ("/" if member.isdir() else "")
    fields = {
        "name": name,
        "mode": member.mode,
        "uid": member.uid,
        "gid": member.gid,
        "size": member.size,
        "mtime": math.floor(member.mtime),
        "typeflag": member.type.decode("latin-1"),
        "linkname": member.linkname,
        "uname": member.uname,
        "gname": member.gname,
        "devmajor": member.devmajor,
        "devminor": member.devminor,
    }
    return "".join(f"{key}{value}" for key, value in fields.items()).encode("utf-8", "surrogateescape")


def rewritten(file: BinaryIO, tarsum: TarSum) -> Iterator[bytes]:
    """The tar's members as they stand, then exactly two empty blocks, whatever padding followed."""
    position = 0
    with tarfile.open(fileobj=file, mode="r:", encoding="utf-8") if _has_members(file) else _no_tar() as tar:
        for member in tar:
            yield from _read(file, position, member.offset_data - position)
            inside = min(member.size, tar.offset - member.offset_data)
            yield from tarsum.add(member, _read(file, member.offset_data, inside))
            yield from _read(file, member.offset_data + inside, tar.offset - member.offset_data - inside)
            position = tar.offset
    yield _END_OF_TAR


def _has_members(file: BinaryIO) -> bool:
    first = file.read(BLOCK)
    file.seek(0)
    return first.strip(b"\0") != b""


def _no_tar() -> tarfile.TarFile:
    return tarfile.open(fileobj=io.BytesIO(_END_OF_TAR), mode="r:")


def _read(file: BinaryIO, start: int, length: int) -> Iterator[bytes]:
    file.seek(start)
    while length > 0:
        piece = file.read(min(READ, length))
        if not piece:
            raise ClientError("unexpected EOF: the layer's tar is cut short")
        length -= len(piece)
        yield piece


def cut_after(body: Iterable[bytes], limit: int) -> Iterator[bytes]:
    """The body's first bytes, at most `limit`; then the connection is to be cut, also when the body was shorter."""
    for piece in body:
        if len(piece) >= limit:
            yield piece[:limit]
            break
        limit -= len(piece)
        yield piece
    raise Cut


class _Decompressor(Protocol):
    def decompress(self, data: bytes, /) -> bytes: ...
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...


def _decompressor(first: bytes) -> _Decompressor | None:
    if first.startswith(b"\x1f\x8b\x08"):
        return zlib.decompressobj(16 + zlib.MAX_WBITS)
    if first.startswith(b"BZh"):
        return bz2.BZ2Decompressor()
    return lzma.LZMADecompressor() if first.startswith(b"\xfd7zXZ\0") else None


class Inflated:
    """sha256 of the tar inside a layer, whose compression is told by its first bytes."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._start = b""
        self._inner: _Decompressor | None = None

    def update(self, piece: bytes) -> None:
        """Raises ClientError when the compressed bytes are damaged."""
        if len(self._start) < 6:
            self._start += piece
            if len(self._start) < 6:
                return
            piece, self._inner = self._start, _decompressor(self._start)
        try:
            self._feed(piece)
        except (zlib.error, OSError, lzma.LZMAError) as wrong:
            raise ClientError(f"Untar error: {wrong}") from wrong

    def _feed(self, piece: bytes) -> None:
        if self._inner is None:
            self._digest.update(piece)
        elif self._inner.eof:
            raise zlib.error("bytes follow the end of the compressed layer")
        else:
            self._digest.update(self._inner.decompress(piece))
            if self._inner.unused_data:
                raise zlib.error("bytes follow the end of the compressed layer")

    def hexdigest(self) -> str:
        """Raises ClientError when the stream stopped half way."""
        if self._inner and not self._inner.eof:
            raise ClientError("Untar error: unexpected EOF")
        if len(self._start) < 6:
            self._digest.update(self._start)
            self._start = b""
        return self._digest.hexdigest()
