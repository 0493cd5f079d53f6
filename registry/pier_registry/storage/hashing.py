"""One pass over a body: its sha256, v1's payload checksum and the sha256 of the tar inside.

    the caller: receive, write, two hashes ──queue of pieces──▶ a thread: inflate, hash the tar

Compressed bodies are inflated only to be hashed, a little at a time, so memory stays bounded whatever a body
inflates to. Layer formats: OCI image-spec, "Image Layer Filesystem Changeset"; gzip: RFC 1952.
"""

from __future__ import annotations

import bz2
import hashlib
import lzma
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from queue import Queue
from typing import Protocol, Self

from isal import igzip_lib

from pier_registry.names import Digest
from pier_registry.storage.base import Received

_WAITING = 2  # pieces that the inflating thread may lag behind
_INPUT = 64 << 10  # bytes given to a decompressor at once: what follows a member's end is copied
_OUTPUT = 128 << 10  # bytes taken from it at once
_XZ_MEMORY = 12 << 20  # xz levels 0 to 6; a dictionary beyond is not allocated for a client that asks for it
_GZIP_MAGIC = b"\x1f\x8b\x08"
_GZIP_HEADER_CRC, _GZIP_EXTRA, _GZIP_NAME, _GZIP_COMMENT = 2, 4, 8, 16
_GZIP_HEADER = 256 << 10  # bytes; real ones are below 100, the extra field may take 64 KiB
_SLOW_CAP = 4 << 30  # bytes
_TAR_BLOCK = 512
_TAR_MAGIC = slice(257, 262)
_GZIP_ERROR: type[Exception] = igzip_lib.error  # type: ignore[assignment]  # its stub says instance for class
_DAMAGE = (_GZIP_ERROR, lzma.LZMAError, OSError, EOFError)


class Decompressor(Protocol):
    """What igzip_lib, bz2 and lzma share."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


Format = Callable[[], Decompressor]


class _Gzip:
    """One gzip member, by isal, which inflates half as fast again as zlib; nothing else here names it.

    The header is skipped here: isal 1.9 loses its place when one with several optional fields comes in pieces.
    """

    def __init__(self) -> None:
        self._header: bytes | None = b""
        self._rest = igzip_lib.IgzipDecompressor(igzip_lib.DECOMP_GZIP_NO_HDR_VER)

    @property
    def eof(self) -> bool:
        return self._rest.eof

    @property
    def needs_input(self) -> bool:
        return self._header is not None or self._rest.needs_input

    @property
    def unused_data(self) -> bytes:
        return self._rest.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        if self._header is not None:
            self._header += data
            end = _gzip_header_end(self._header)
            if end is None:
                return b""
            data, self._header = self._header[end:], None
        return self._rest.decompress(data, max_length)


def _gzip_header_end(head: bytes) -> int | None:
    """None while the header is incomplete. Raises EOFError for what is none, or is longer than any real one."""
    if head[:3] != _GZIP_MAGIC[: len(head)] or len(head) > _GZIP_HEADER:
        raise EOFError
    if len(head) < 12:
        return None
    flags, end = head[3], 10
    if flags & _GZIP_EXTRA:
        end += 2 + int.from_bytes(head[10:12], "little")
    for field in (_GZIP_NAME, _GZIP_COMMENT):
        if flags & field:
            end = head.find(0, end) + 1
            if not end:
                return None
    if flags & _GZIP_HEADER_CRC:
        end += 2
    return end if end <= len(head) else None


def _xz() -> Decompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)


_MAGIC: dict[bytes, Format] = {
    _GZIP_MAGIC: _Gzip,
    b"BZh": bz2.BZ2Decompressor,
    b"\xfd7zXZ\0": _xz,
}


def compression(head: bytes) -> Format | None:
    """The decompressor for a body that begins so."""
    return next((start for magic, start in _MAGIC.items() if head.startswith(magic)), None)


def is_tar(head: bytes) -> bool:
    """A first block with the ustar magic, or of zeros only: the empty tar. Older tars are not told from noise."""
    block = head[:_TAR_BLOCK]
    return len(block) == _TAR_BLOCK and (block[_TAR_MAGIC] == b"ustar" or not any(block))


def inflated(pieces: Iterator[bytes], start: Format) -> Iterator[bytes]:
    """The decompressed bytes of all members, in small chunks; zeros between and after members are skipped.

    Raises what the decompressor raises for damaged data, EOFError when the data is cut short.
    """
    stream = start()
    for piece in pieces:
        for at in range(0, len(piece), _INPUT):
            data = piece[at : at + _INPUT]
            while data:
                if stream.eof:
                    data = data.lstrip(b"\0")
                    if not data:
                        break
                    stream = start()
                yield from _outputs(stream, data)
                data = stream.unused_data if stream.eof else b""
    if not stream.eof:
        raise EOFError


def _outputs(stream: Decompressor, data: bytes) -> Iterator[bytes]:
    yield stream.decompress(data, _OUTPUT)
    while not (stream.eof or stream.needs_input):
        yield stream.decompress(b"", _OUTPUT)


class _Inflating:
    """A thread that hashes the inflated form of the pieces it is fed; it lives until `close`."""

    def __init__(self, start: Format, most: int) -> None:
        self._start = start
        self._most = most
        self._abandoned = False
        self._queue: Queue[bytes | None] = Queue(_WAITING)
        self._thread = ThreadPoolExecutor(1, "inflating")
        self._result: Future[Digest | None] = self._thread.submit(self._run)

    def feed(self, piece: bytes) -> None:
        self._queue.put(piece)

    def finish(self) -> Digest | None:
        self._queue.put(None)
        return self._result.result()

    def close(self) -> None:
        self._abandoned = True
        if not self._result.done():
            self._queue.put(None)
        self._thread.shutdown()

    def _run(self) -> Digest | None:
        pieces = iter(self._queue.get, None)
        try:
            return self._digest(pieces)
        except _DAMAGE:
            return None
        finally:
            for _ in pieces:  # whatever happened, `feed` must never wait for ever
                pass

    def _digest(self, pieces: Iterator[bytes]) -> Digest | None:
        tar, size = hashlib.sha256(), 0
        for chunk in inflated(pieces, self._start):
            size += len(chunk)
            if size > self._most or self._abandoned:
                return None
            tar.update(chunk)
        return Digest.sha256(tar.hexdigest())


class Digester:
    """Takes a body piece by piece and tells what it was; use it in a `with` block, which ends its thread.

    `prefix` is what the payload checksum starts with, `max_inflated` the bytes up to which a body is inflated.
    """

    def __init__(self, prefix: bytes, max_inflated: int) -> None:
        self._max_inflated = max_inflated
        self._bytes = hashlib.sha256()
        self._payload = hashlib.sha256(prefix) if prefix else None
        self._size = 0
        self._head: bytes | None = b""
        self._tar = False
        self._inflating: _Inflating | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._inflating:
            self._inflating.close()

    def update(self, piece: bytes | memoryview) -> None:
        """May wait until the inflating has caught up. The piece may change afterwards."""
        self._size += len(piece)
        if self._head is not None:
            self._head += piece
            if len(self._head) >= _TAR_BLOCK:
                self._recognise(self._head)
        elif self._inflating:
            self._inflating.feed(bytes(piece))
        self._bytes.update(piece)
        if self._payload:
            self._payload.update(piece)

    def finish(self) -> Received:
        if self._head is not None:
            self._recognise(self._head)
        digest = Digest.sha256(self._bytes.hexdigest())
        payload = Digest.sha256(self._payload.hexdigest()) if self._payload else digest
        return Received(self._size, digest, payload, self._uncompressed(digest))

    def _recognise(self, head: bytes) -> None:
        self._head = None
        self._tar = is_tar(head)
        start = compression(head)
        if start:
            self._inflating = _Inflating(start, self._cap_of(start))
            self._inflating.feed(head)

    def _cap_of(self, start: Format) -> int:
        """bzip2 and xz turn a few bytes into hours of work, and docker sends neither."""
        return self._max_inflated if start is _MAGIC[_GZIP_MAGIC] else min(self._max_inflated, _SLOW_CAP)

    def _uncompressed(self, digest: Digest) -> Digest | None:
        if self._inflating:
            return self._inflating.finish()
        return digest if self._tar and self._size <= self._max_inflated else None
