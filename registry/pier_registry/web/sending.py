"""Files as answers: handed to nginx, or sent from here; each protocol has its own idea of ranges."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO, Final

from pier_registry import errors
from pier_registry.actions.pull import LayerFile
from pier_registry.storage.base import Storage
from pier_registry.web import answers
from pier_registry.web.answers import Answer
from pier_registry.web.context import Asked

BYTES: Final = "application/octet-stream"
_RANGE: Final = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)
_PIECE: Final = 1 << 18
# Bytes that are sent sooner than nginx has found their file.
_SMALL: Final = 1 << 14


@dataclass(frozen=True, slots=True)
class Span:
    """The bytes `start` to `end` inclusive that a Range header asks for; `end` is below `start` when it says so."""

    start: int
    end: int

    @property
    def length(self) -> int:
        return self.end - self.start + 1


def layer(asked: Asked, file: LayerFile, headers: Mapping[str, str]) -> Answer:
    """v1: one range is honoured, others are ignored, a start beyond the end is an empty 416.

    docker resumes with an end one past the last byte, and takes 416 with Content-Length 0 for "all there".
    """
    wanted = _wanted(asked, file)
    if wanted is not None and wanted.start >= file.size:
        return Answer({"Content-Range": f"bytes */{file.size}", "Content-Length": "0"}, status=416)
    if wanted is not None and wanted.end < wanted.start:
        wanted = None
    return _sent(asked, file, headers, wanted, "_whole" if wanted is None else "_layers", errors.ImageUnknown())


def blob(asked: Asked, file: LayerFile, headers: Mapping[str, str]) -> Answer:
    """v2: ranges, several at once too, are nginx's to serve; without it several get the whole.

    Raises RangeInvalid for one that holds nothing. OCI distribution-spec 1.1, "Pulling blobs".
    """
    wanted = _wanted(asked, file)
    if wanted is not None and (wanted.start >= file.size or wanted.end < wanted.start):
        told = {"Content-Range": f"bytes */{file.size}"}
        raise errors.RangeInvalid(f"the range lies outside of the blob's {file.size} bytes", told)
    return _sent(asked, file, headers, wanted, "_layers", errors.LayerUnknown(file.digest))


def _wanted(asked: Asked, file: LayerFile) -> Span | None:
    """A conditional range gets the whole, which is always right."""
    headers = asked.request.headers
    return _single_range(None if "If-Range" in headers else headers.get("Range"), file.size)


def _sent(
    asked: Asked,
    file: LayerFile,
    headers: Mapping[str, str],
    wanted: Span | None,
    area: str,
    missing: errors.PierError,
) -> Answer:
    storage = asked.doors.registry.storage
    small = file.size <= _SMALL and "Range" not in asked.request.headers
    by_us = asked.doors.direct or small
    told = {**headers, "Content-Type": BYTES, "Content-Disposition": "attachment"}
    if by_us or area == "_whole" or wanted is not None:  # of several ranges, or none, nginx says so itself
        told["Accept-Ranges"] = "bytes"
    if small:
        return _at_once(storage, file, told, missing)
    return _streamed(storage, file, told, wanted, missing) if by_us else _by_nginx(storage, file, told, area, missing)


def _at_once(storage: Storage, file: LayerFile, headers: Mapping[str, str], missing: errors.PierError) -> Answer:
    try:
        with storage.open(file.path) as opened:
            return answers.whole(opened.read(), headers)
    except FileNotFoundError:
        raise missing from None


def _by_nginx(
    storage: Storage, file: LayerFile, headers: Mapping[str, str], area: str, missing: errors.PierError
) -> Answer:
    """nginx would follow a link that somebody put in a layer's place, so the storage looks first.

    What is in memory nginx reads without the detour over another thread.
    """
    try:
        if storage.size(file.path) is None:
            raise missing
        place = f"{area}/warm" if storage.is_warm(file.path) else area
    except FileNotFoundError:
        raise missing from None
    return answers.whole(b"", {**headers, "X-Accel-Redirect": f"/{place}/{file.path.removeprefix('layers/')}"})


def _streamed(
    storage: Storage, file: LayerFile, headers: Mapping[str, str], wanted: Span | None, missing: errors.PierError
) -> Answer:
    span = wanted or Span(0, file.size - 1)
    try:
        opened = storage.open(file.path)
    except FileNotFoundError:
        raise missing from None
    told = {**headers, "Content-Length": str(span.length)}
    if wanted:
        told["Content-Range"] = f"bytes {span.start}-{span.end}/{file.size}"
    return Answer(told, _Pieces(opened, span), 206 if wanted else 200)


class _Pieces:
    """A span of a file, which is closed with them."""

    def __init__(self, opened: BinaryIO, span: Span) -> None:
        opened.seek(span.start)
        self._opened = opened
        self._left = span.length

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        piece = self._opened.read(min(self._left, _PIECE))
        if not piece:
            raise StopIteration
        self._left -= len(piece)
        return piece

    def close(self) -> None:
        self._opened.close()


def _single_range(header: str | None, size: int) -> Span | None:
    """None for no range, a malformed one, several, or one that is the whole of an empty file."""
    match = _RANGE.fullmatch(header.strip()) if header else None
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        last = min(int(match[2]), size)
        return Span(size - last, size - 1) if last else Span(size, size)
    start = int(match[1])
    if match[2] and int(match[2]) < start < size:
        return Span(start, int(match[2]))
    return Span(start, min(int(match[2]), size - 1) if match[2] else size - 1)
