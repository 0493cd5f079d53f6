"""What a place for bytes must do; `tests/registry/storage` holds every implementation to it.

Two areas: *uploads*, being written, named by the upload's UUID; and *layers*, durable, named by a path
that holds digest and generation and is never used twice (so a late removal cannot hit newer bytes).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from pier_registry.names import Digest


@dataclass(frozen=True, slots=True)
class Received:
    """What one pass over an upload's bytes told.

    `payload` is v1's checksum, sha256 over json + newline + bytes. `uncompressed` is the sha256 of the inflated
    tar (an OCI diff_id); None when the bytes are not gzip, bzip2, xz or a plain tar, are damaged, or inflate
    beyond the cap.
    """

    size: int
    digest: Digest
    payload: Digest
    uncompressed: Digest | None


@dataclass(frozen=True, slots=True)
class Stored:
    """One file as a listing finds it; `modified` in seconds since 1970 by the file system's clock."""

    path: str
    size: int
    modified: float


class Readable(Protocol):
    """A body, which fills what it can of a buffer, and nothing at its end alone; `io.RawIOBase` has the same."""

    def readinto(self, buffer: memoryview, /) -> int: ...


class UploadFile(Protocol):
    """The file of one upload, in the hands of one request."""

    def size(self) -> int:
        """Bytes written so far; 0 when there is no file yet."""

    def write(self, source: Readable, *, offset: int, announced: int | None, algorithm: str) -> Digest | None:
        """Cut the file to `offset` and append `source`, durably; the digest of the whole when `offset` is 0.

        Raises SizeInvalid when the body ends early, TooLarge when the whole would pass the largest layer. What came
        until then stays, durably, and `size` tells how much.
        """

    def digest(self, algorithm: str) -> Digest:
        """Of the whole file, which is read for it."""


class Storage(Protocol):
    """Every method may raise DiskFull (no space) or OSError (a broken disk)."""

    def receive(self, source: Readable, upload: str, *, prefix: bytes, announced: int | None) -> Received:
        """Write `source` to the upload's file and make it durable, whatever was there before.

        `prefix` is what the payload checksum starts with; `announced` is the body's length, when known.
        Raises SizeInvalid when the body ends early, TooLarge beyond the largest layer; what this
        call wrote is then gone. Use a fresh UUID for every call: `publish` believes the digest it is given.
        """

    def hold(self, upload: str) -> AbstractContextManager[UploadFile]:
        """The upload's file, for an upload in several requests. Raises UploadBusy while another request holds it."""

    def publish(self, upload: str, digest: Digest) -> str:
        """Move a received upload to its layer path, durably; returns the path. Repeating it is harmless."""

    def remove(self, path: str) -> int:
        """Unlink; returns the bytes freed, 0 when nothing was there."""

    def open(self, path: str) -> BinaryIO:
        """Raises FileNotFoundError."""

    def size(self, path: str) -> int | None:
        """Bytes of the file, None when there is none."""

    def is_warm(self, path: str) -> bool:
        """Whether its bytes are in memory, so that no reader waits for a disk; as far as samples tell.

        Raises FileNotFoundError.
        """

    def layers(self) -> Iterator[Stored]:
        """Every file in the layers area, in any order."""

    def uploads(self) -> Iterator[Stored]:
        """Every file in the uploads area, those being received too, in any order."""

    def free(self) -> int:
        """Bytes that can still be written."""

    def release_ballast(self) -> None:
        """Give up the reserved space, so that a delete can run on a full disk."""

    def restore_ballast(self) -> None:
        """Reserve it anew, when there is room; never raises for a full disk."""
