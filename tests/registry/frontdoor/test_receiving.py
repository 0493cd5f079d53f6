"""Bodies come out as gunicorn reads them, however they arrive, and so do the refusals of malformed ones."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, Final

import pytest
from gunicorn.config import Config  # type: ignore[import-untyped]
from gunicorn.http import get_parser  # type: ignore[import-untyped]
from gunicorn.http.errors import ParseException  # type: ignore[import-untyped]

from pier_registry import receiving
from pier_registry.lingering import Connection

HEAD: Final = b"PATCH /v2/ HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
SIZED: Final = b"PUT /v2/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
NEXT: Final = b"GET /next HTTP/1.1\r\nHost: localhost\r\n\r\n"
WHOLE: Final = [
    b"0\r\n\r\n",
    b"5\r\nhello\r\n0\r\n\r\n",
    b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
    b"A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n",
    b"0005\r\nhello\r\n000\r\n\r\n",
    b"5;name=value\r\nhello\r\n0;last\r\n\r\n",
    b"5\r\nhello\r\n0\r\nX-Sum: value\r\n\r\n",
    b"4\r\n\r\n\r\n\r\n0\r\n\r\n",
]
BROKEN: Final = [
    b"",
    b"5",
    b"5\r\nhel",
    b"5\r\nhello",
    b"5\r\nhello\r",
    b"5\r\nhello\r\n",
    b"5\r\nhello\r\n0\r\n",
    b"5\r\nhelloworld\r\n0\r\n\r\n",
    b"5\nhello\r\n0\r\n\r\n",
    b"x\r\nhello\r\n0\r\n\r\n",
    b"-5\r\nhello\r\n0\r\n\r\n",
    b"+5\r\nhello\r\n0\r\n\r\n",
    b"0x5\r\nhello\r\n0\r\n\r\n",
    b" 5\r\nhello\r\n0\r\n\r\n",
    b"5 \r\nhello\r\n0\r\n\r\n",
    b"\r\nhello\r\n0\r\n\r\n",
    b"5;a\rb\r\nhello\r\n0\r\n\r\n",
    b"5" * 20_000,
    b"5\r\nhello\r\n0\r\nContent-Length: 3\r\n\r\n",
]


@contextmanager
def parsed(pieces: list[bytes], *, ours: bool, more: bool = False) -> Iterator[tuple[Any, Any]]:
    """The parser of a connection on which the pieces arrive one after the other, and its first request."""
    theirs, mine = socket.socketpair()
    connection = Connection.of(mine)
    sender = threading.Thread(target=send, args=(theirs, pieces, more))
    sender.start()
    try:
        configuration = Config()
        configuration.set("bind", "unix:none")
        parser = get_parser(configuration, connection, "")
        request = next(parser)
        if ours:
            request.body = receiving.of(request.body, request, parser.unreader)
        yield parser, request
    finally:
        connection.close()
        sender.join()
        theirs.close()


def send(connection: socket.socket, pieces: list[bytes], more: bool) -> None:
    try:
        for piece in pieces:
            connection.sendall(piece)
        if not more:
            connection.shutdown(socket.SHUT_WR)
    except OSError:  # it was refused before its end
        return


def read(pieces: list[bytes], size: int, *, ours: bool) -> list[bytes] | type[Exception]:
    """What each read of `size` bytes gives, or how the last one is refused."""
    with parsed(pieces, ours=ours) as (_, request):
        told = []
        try:
            while piece := request.body.read(size):
                told.append(piece)
        except (OSError, ParseException) as refused:
            return type(refused)
        return told


def filled(body: Any, size: int) -> bytes:
    buffer = bytearray(size)
    came = body.readinto(memoryview(buffer))
    return bytes(buffer[:came])


def buffered(pieces: list[bytes], size: int) -> bytes | type[Exception]:
    """What comes in buffers of `size` bytes, or how it is refused; the first few bytes are read without one."""
    with parsed(pieces, ours=True) as (_, request):
        try:
            told = request.body.read(3)
            while piece := filled(request.body, size):
                told += piece
        except (OSError, ParseException) as refused:
            assert request.body.failed
            return type(refused)
        return bytes(told)


def cut(raw: bytes, at: random.Random, most: int) -> list[bytes]:
    places = sorted({0, len(raw), *(at.randrange(len(raw)) for _ in range(most))})
    return [raw[start:end] for start, end in pairwise(places)]


@pytest.mark.parametrize("body", WHOLE + BROKEN, ids=lambda body: repr(body[:30]))
@pytest.mark.parametrize("size", [1, 4, 5, 1000])
def test_a_body_is_read_as_by_gunicorn(body: bytes, size: int) -> None:
    expected = read([HEAD + body], size, ours=False)
    assert isinstance(expected, list) is (body in WHOLE)
    assert read([HEAD + body], size, ours=True) == expected
    slowly = [HEAD, *(body[at : at + 1] for at in range(min(len(body), 100))), body[100:]]
    assert read(slowly, size, ours=True) == expected
    for pieces in ([HEAD + body], slowly):
        assert buffered(pieces, size) == (b"".join(expected) if isinstance(expected, list) else expected)


@pytest.mark.parametrize("seed", range(12))
def test_a_long_body_comes_whole_however_it_arrives(seed: int) -> None:
    at = random.Random(seed)
    chunks = [at.randbytes(at.choice([1, 7, 4096, 16_384, 32_768, 700_000])) for _ in range(at.randrange(1, 30))]
    raw = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    size = at.choice([1000, 16_384, 1 << 20])
    told = read(cut(HEAD + raw, at, 40), size, ours=True)
    assert isinstance(told, list)
    assert b"".join(told) == b"".join(chunks)
    assert buffered(cut(HEAD + raw, at, 40), size) == b"".join(chunks)


@pytest.mark.parametrize("seed", range(6))
def test_a_body_with_a_length_comes_whole_and_no_further(seed: int) -> None:
    at = random.Random(seed)
    body = at.randbytes(at.choice([1, 1000, 700_000]))
    size = at.choice([7, 16_384, 1 << 20])
    sent = cut(SIZED % len(body) + body + NEXT, at, 40)
    told = read(sent, size, ours=True)
    assert isinstance(told, list)
    assert b"".join(told) == body
    assert all(len(piece) == size for piece in told[:-1])
    assert buffered(sent, size) == body
    with parsed(sent, ours=True) as (parser, request):
        while filled(request.body, size):
            continue
        assert next(parser).path == "/next"


def test_a_body_shorter_than_its_length_ends_where_the_connection_does() -> None:
    assert buffered([SIZED % 10 + b"hello"], 100) == b"hello"
    assert read([SIZED % 10 + b"hello"], 100, ours=True) == read([SIZED % 10 + b"hello"], 100, ours=False) == [b"hello"]


def test_what_is_there_is_given_before_the_next_chunk_comes() -> None:
    with parsed([HEAD, b"5\r\nhello\r\n"], ours=True, more=True) as (_, request):
        assert filled(request.body, 100) == b"hello"


@pytest.mark.parametrize("body", WHOLE, ids=lambda body: repr(body[:30]))
def test_the_next_request_of_the_connection_is_found(body: bytes) -> None:
    with parsed([HEAD + body + NEXT], ours=True) as (parser, request):
        while request.body.read(1 << 20):
            continue
        assert next(parser).path == "/next"


def test_it_is_found_behind_a_body_that_nobody_read() -> None:
    with parsed([HEAD + WHOLE[2] + NEXT], ours=True) as (parser, _):
        assert next(parser).path == "/next"
