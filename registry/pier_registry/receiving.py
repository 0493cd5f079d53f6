"""Bodies of requests, received straight into the buffer of whoever reads them.

gunicorn's own readers copy each piece several times, and into memory that the system must find first: more work than
hashing it.
"""

from __future__ import annotations

import re
from typing import Any, Final, Protocol

from gunicorn.http.body import Body, ChunkedReader, LengthReader  # type: ignore[import-untyped]
from gunicorn.http.errors import ChunkMissingTerminator, NoMoreData  # type: ignore[import-untyped]

_MOST: Final = 64 << 10  # read at once where no buffer was given
_LINE: Final = b"\r\n"
_SIZE: Final = re.compile(rb"([1-9a-fA-F][0-9a-fA-F]{0,14})\r\n")
_NEXT_SIZE: Final = re.compile(_LINE + _SIZE.pattern)


def of(body: Any, request: Any, unreader: Any) -> Any:
    """What to read instead of gunicorn's `body` of `request`, whose connection `unreader` reads."""
    if isinstance(body.reader, ChunkedReader):
        return Received(Chunks(request, unreader))
    if isinstance(body.reader, LengthReader) and body.reader.length:
        return Received(Length(unreader, body.reader.length))
    return body


class _Reader(Protocol):
    """Of a body: as many bytes of the buffer are filled as are there, none at the body's end alone."""

    def readinto(self, buffer: memoryview, /) -> int: ...


class Received(Body):  # type: ignore[misc]
    """gunicorn's body, which can be read into a buffer too. Its `failed` tells gunicorn to close the connection."""

    def __init__(self, reader: _Reader) -> None:
        super().__init__(_Whole(reader))
        self._source = reader

    def readinto(self, buffer: memoryview, /) -> int:
        """As an `io.RawIOBase`. Raises OSError, and gunicorn's ParseException for what is no body."""
        held = self.buf.tell()  # what an earlier read left
        if held:
            piece = self.read(min(held, len(buffer)))
            buffer[: len(piece)] = piece
            return len(piece)
        self.failed = True  # unless it comes back
        came = self._source.readinto(buffer)
        self.failed = False
        return came


class _Whole:
    """Reads as gunicorn's readers do: fewer bytes than asked for only at the end."""

    def __init__(self, reader: _Reader) -> None:
        self._reader = reader

    def read(self, size: int) -> bytes:
        pieces = []
        while size:
            piece = bytearray(min(size, _MOST))
            came = self._reader.readinto(memoryview(piece))
            if not came:
                break
            pieces.append(piece[:came])
            size -= came
        return b"".join(pieces)


class Length:
    """A body of `length` bytes. It ends early where the connection does."""

    def __init__(self, unreader: Any, length: int) -> None:
        self._unreader = unreader
        self._left = length

    def readinto(self, buffer: memoryview, /) -> int:
        part = buffer[: self._left]
        came = _read_ahead(self._unreader, part) or (self._unreader.sock.recv_into(part) if part else 0)
        self._left -= came
        return int(came)


class Chunks:
    """A chunked body. RFC 9112, section 7.1.

    Only sizes that are plain, and wholly there, are read here. Whatever else stands in the place of one, such as the
    end of the body, is gunicorn's to read and to refuse.
    """

    def __init__(self, request: Any, unreader: Any) -> None:
        self._unreader = unreader
        self._strict = ChunkedReader(request, unreader)
        self._left = 0  # of the chunk
        self._begun = self._ended = False

    def readinto(self, buffer: memoryview, /) -> int:
        """Raises gunicorn's NoMoreData, or another ParseException, for a body that breaks off or is malformed."""
        filled = 0
        while not (filled or self._ended):
            filled = self._without_sizes(buffer, self._received(buffer))
            if not (filled or self._left):
                self._size_by_the_book()
        return filled

    def _received(self, buffer: memoryview) -> int:
        """What came, at least the end of a chunk together with what follows."""
        came = _read_ahead(self._unreader, buffer)
        ended = self._begun and not self._left and came == len(_LINE) and bytes(buffer[:came]) == _LINE
        if ended or not came:
            came += self._unreader.sock.recv_into(buffer[came:])
        if self._left and not came:
            raise NoMoreData
        return came

    def _without_sizes(self, buffer: memoryview, came: int) -> int:
        """Of the `came` bytes those of the body, moved together. What could not be read goes back."""
        start = filled = 0
        while True:
            until = min(start + self._left, came)
            if start != filled:
                buffer[filled : filled + until - start] = buffer[start:until]
            filled += until - start
            self._left -= until - start
            size = None if self._left else (_NEXT_SIZE if self._begun else _SIZE).match(buffer, until, came)
            if size is None:
                if until < came:
                    self._unreader.unread(bytes(buffer[until:came]))
                return filled
            self._begun = True
            start, self._left = size.end(), int(size[1], 16)

    def _size_by_the_book(self) -> None:
        """What follows the last chunk goes back to the connection, whose next request it is."""
        if self._begun:
            line = self._unreader.read(len(_LINE))
            if line != _LINE:
                raise ChunkMissingTerminator(line)
        size, rest = self._strict.parse_chunk_size(self._unreader)
        if rest:
            self._unreader.unread(rest)
        self._left = int(size)
        self._begun, self._ended = True, not size


def _read_ahead(unreader: Any, buffer: memoryview) -> int:
    """Into the buffer what came together with something before."""
    ahead = unreader.take_buffered()
    came = min(len(ahead), len(buffer))
    buffer[:came] = ahead[:came]
    if came < len(ahead):
        unreader.unread(ahead[came:])
    return came
