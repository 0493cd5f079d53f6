"""Chunked bodies taken apart in large bites; gunicorn takes small ones, and copies each several times."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any, Final

from gunicorn.http.body import ChunkedReader  # type: ignore[import-untyped]
from gunicorn.http.errors import ChunkMissingTerminator, NoMoreData  # type: ignore[import-untyped]

_BITE: Final = 256 << 10
_SIZE: Final = re.compile(rb"([1-9a-fA-F][0-9a-fA-F]{0,14})\r\n")
_NEXT_SIZE: Final = re.compile(rb"\r\n" + _SIZE.pattern)


class Chunks:
    """Reads the body of `request` from its connection, in the place of gunicorn's reader.

    Only sizes that are plain, and wholly there, are read here. Whatever else stands in the place of one, such as the
    end of the body, is gunicorn's to read and to refuse. RFC 9112, section 7.1.
    """

    def __init__(self, request: Any, unreader: Any) -> None:
        self._unreader = unreader
        self._strict = ChunkedReader(request, unreader)
        self._bite = bytearray(_BITE)
        self._view = memoryview(self._bite)
        self._start = self._end = 0  # of what is in the bite and was not read
        self._left = 0  # of the chunk
        self._begun = self._ended = False

    def read(self, size: int) -> bytes:
        """Fewer than `size` bytes only at the end of the body.

        Raises gunicorn's NoMoreData, or another ParseException, for a body that breaks off or is malformed.
        """
        pieces = []
        while size and not self._ended:
            if not self._left:
                self._next_chunk()
                continue
            piece = self._piece(min(size, self._left))
            self._left -= len(piece)
            size -= len(piece)
            pieces.append(piece)
        return b"".join(pieces)

    def _piece(self, most: int) -> bytes:
        if self._start == self._end:
            self._fill()
        until = min(self._start + most, self._end)
        piece = bytes(self._view[self._start : until])
        self._start = until
        return piece

    def _next_chunk(self) -> None:
        plain = _NEXT_SIZE.match(self._bite, self._start, self._end) if self._begun else None
        if plain is not None:
            self._start, self._left = plain.end(), int(plain[1], 16)
            return
        if self._begun:
            self._end_line()
        self._left = self._size()
        self._begun, self._ended = True, not self._left

    def _end_line(self) -> None:
        with suppress(NoMoreData):
            while self._end - self._start < 2:
                self._fill()
        line = bytes(self._view[self._start : min(self._start + 2, self._end)])
        if line != b"\r\n":
            raise ChunkMissingTerminator(line)
        self._start += 2

    def _size(self) -> int:
        if self._start == self._end:
            self._fill()
        plain = _SIZE.match(self._bite, self._start, self._end)
        if plain is None:
            return self._size_by_the_book()
        self._start = plain.end()
        return int(plain[1], 16)

    def _size_by_the_book(self) -> int:
        """What follows the last chunk goes back to the connection, whose next request it is."""
        self._unreader.unread(bytes(self._view[self._start : self._end]))
        self._start = self._end = 0
        size, rest = self._strict.parse_chunk_size(self._unreader)
        if rest:
            self._unreader.unread(rest)
        return int(size)

    def _fill(self) -> None:
        """Behind what is left in the bite, what has come by now; waits for the first of it."""
        kept = bytes(self._view[self._start : self._end])
        self._view[: len(kept)] = kept
        self._start, self._end = 0, len(kept)
        room = self._view[self._end :]
        there = self._unreader.take_buffered()
        if there:
            came = min(len(there), len(room))
            room[:came] = there[:came]
            self._unreader.unread(there[came:])
        else:
            came = self._unreader.sock.recv_into(room)
        if not came:
            raise NoMoreData
        self._end += came
