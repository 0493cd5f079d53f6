"""Bytes from a body into a file: one loop for all uploads, and the file of one that comes in several requests."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from mmap import mmap

from pier_registry.errors import SizeInvalid, TooLarge, UploadBusy
from pier_registry.names import Digest
from pier_registry.storage.base import Readable

FILE_MODE = 0o640
_BUFFER = 256 << 10  # a socket gives less at once, and what is in a processor's cache is hashed and written from there
_FLUSHED = 16 << 20


def copy(
    source: Readable, file: int, update: Callable[[memoryview], object], *, announced: int | None, most: int, limit: int
) -> None:
    """Write `source` behind what is in `file`, at most `most` bytes; `update` is told each piece, and must not keep it.

    `limit` is the largest layer, for the message. Raises SizeInvalid, TooLarge.
    """
    left = wanted = most + 1 if announced is None else min(announced, most + 1)  # a socket would wait for more for ever
    buffer = memoryview(mmap(-1, max(1, min(_BUFFER, wanted))))  # memory that is there only where it was written to
    with ThreadPoolExecutor(1, "flush") as flushing:
        flusher = _Flusher(file, flushing)
        while left and (came := source.readinto(buffer[:left])):
            left -= came
            piece = buffer[:came]
            update(piece)
            write_all(file, piece)
            flusher.wrote(came)
        flusher.end()
    received = wanted - left
    if received > most:
        raise too_large(limit)
    if announced is not None and received < announced:
        raise SizeInvalid(received, announced)


class _Flusher:
    """Has the disk at work while more comes, so that the flush at the end finds little. A small body starts nothing."""

    def __init__(self, file: int, pool: ThreadPoolExecutor) -> None:
        self._file = file
        self._pool = pool
        self._written = 0
        self._flushing: Future[None] | None = None

    def wrote(self, size: int) -> None:
        self._written += size
        if self._written >= _FLUSHED and (self._flushing is None or self._flushing.done()):
            self.end()
            self._flushing = self._pool.submit(os.fdatasync, self._file)
            self._written = 0

    def end(self) -> None:
        """Raises OSError of a flush, which the kernel tells once."""
        if self._flushing is not None:
            self._flushing.result()


def write_all(file: int, piece: bytes | memoryview) -> None:
    rest = memoryview(piece)
    while rest:
        rest = rest[os.write(file, rest) :]


def too_large(limit: int) -> TooLarge:
    return TooLarge(f"a layer may hold at most {limit} bytes here: make it smaller or ask for a larger PIER_MAX_LAYER")


@contextmanager
def held(folder: int, name: str, max_layer: int) -> Iterator[HeldFile]:
    """Raises UploadBusy when another request holds the file, or has just made a layer of it."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    file = os.open(name, flags, FILE_MODE, dir_fd=folder)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.stat(name, dir_fd=folder, follow_symlinks=False).st_ino != os.fstat(file).st_ino:
            raise UploadBusy
        yield HeldFile(file, folder, max_layer)
    except BlockingIOError:
        raise UploadBusy from None
    finally:
        os.close(file)


class HeldFile:
    """As storage.base.UploadFile."""

    def __init__(self, file: int, folder: int, max_layer: int) -> None:
        self._file = file
        self._folder = folder
        self._max_layer = max_layer

    def size(self) -> int:
        return os.fstat(self._file).st_size

    def write(self, source: Readable, *, offset: int, announced: int | None, algorithm: str) -> Digest | None:
        running = hashlib.new(algorithm)
        os.ftruncate(self._file, offset)
        os.lseek(self._file, offset, os.SEEK_SET)
        try:
            most = self._max_layer - offset
            copy(source, self._file, running.update, announced=announced, most=most, limit=self._max_layer)
        finally:
            os.fsync(self._file)
            os.fsync(self._folder)
        return None if offset else Digest(algorithm, running.hexdigest())

    def digest(self, algorithm: str) -> Digest:
        os.lseek(self._file, 0, os.SEEK_SET)
        with os.fdopen(os.dup(self._file), "rb") as whole:
            return Digest(algorithm, hashlib.file_digest(whole, algorithm).hexdigest())
