"""Files as answers: handed to nginx, or sent from here; each protocol has its own idea of ranges."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO, Final

from flask import Response

from pier_registry import errors
from pier_registry.actions.pull import LayerFile
from pier_registry.storage.base import Storage
from pier_registry.web.context import Asked

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


def layer(asked: Asked, file: LayerFile, headers: Mapping[str, str]) -> Response:
    """v1: one range is honoured, others are ignored, a start beyond the end is an empty 416.

    docker resumes with an end one past the last byte, and takes 416 with Content-Length 0 for "all there".
    """
    wanted = _wanted(asked, file)
    if wanted is not None and wanted.start >= file.size:
        return Response(status=416, headers={"Content-Range": f"bytes */{file.size}", "Content-Length": "0"})
    if wanted is not None and wanted.end < wanted.start:
        wanted = None
    return _sent(asked, file, headers, wanted, "_whole" if wanted is None else "_layers", errors.ImageUnknown())


def blob(asked: Asked, file: LayerFile, headers: Mapping[str, str]) -> Response:
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
) -> Response:
    storage = asked.doors.registry.storage
    small = file.size <= _SMALL and "Range" not in asked.request.headers
    by_us = asked.doors.direct or small
    if small:
        answer = _at_once(storage, file, missing)
    else:
        answer = _streamed(storage, file, wanted, missing) if by_us else _by_nginx(storage, file, area, missing)
    answer.headers.extend(headers)
    answer.headers["Content-Type"] = "application/octet-stream"
    answer.headers["Content-Disposition"] = "attachment"
    if by_us or area == "_whole" or wanted is not None:  # of several ranges, or none, nginx says so itself
        answer.headers["Accept-Ranges"] = "bytes"
    return answer


def _at_once(storage: Storage, file: LayerFile, missing: errors.PierError) -> Response:
    try:
        with storage.open(file.path) as opened:
            return Response(opened.read())
    except FileNotFoundError:
        raise missing from None


def _by_nginx(storage: Storage, file: LayerFile, area: str, missing: errors.PierError) -> Response:
    """nginx would follow a link that somebody put in a layer's place, so the storage looks first."""
    if storage.size(file.path) is None:
        raise missing
    return Response(headers={"X-Accel-Redirect": f"/{area}/{file.path.removeprefix('layers/')}"})


def _streamed(storage: Storage, file: LayerFile, wanted: Span | None, missing: errors.PierError) -> Response:
    span = wanted or Span(0, file.size - 1)
    try:
        opened = storage.open(file.path)
    except FileNotFoundError:
        raise missing from None
    opened.seek(span.start)
    headers = {"Content-Length": str(span.length)}
    if wanted:
        headers["Content-Range"] = f"bytes {span.start}-{span.end}/{file.size}"
    answer = Response(_pieces(opened, span.length), 206 if wanted else 200, headers, direct_passthrough=True)
    answer.call_on_close(opened.close)
    return answer


def _pieces(opened: BinaryIO, left: int) -> Iterator[bytes]:
    while left > 0 and (piece := opened.read(min(left, _PIECE))):
        left -= len(piece)
        yield piece


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
