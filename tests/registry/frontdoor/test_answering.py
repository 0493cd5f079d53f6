"""The head of an answer goes out with its body, and nothing is held back from whoever waits for it."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Final

import pytest

from pier_registry.lingering import Connection
from tests.registry.frontdoor.door import LOGIN, Door, opened

_LARGE: Final = 1 << 17


@pytest.fixture
def ends() -> Iterator[tuple[Connection, socket.socket]]:
    mine, theirs = socket.socketpair()
    connection = Connection.of(mine)
    theirs.setblocking(False)
    with connection, theirs:
        yield connection, theirs


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with opened(tmp_path_factory.mktemp("answering"), workers=1) as running:
        yield running


def come(end: socket.socket) -> bytes:
    try:
        return end.recv(1 << 20)
    except BlockingIOError:
        return b""


def test_small_pieces_are_sent_together(ends: tuple[Connection, socket.socket]) -> None:
    connection, theirs = ends
    connection.sendall(b"head ")
    connection.sendall(b"body")
    assert come(theirs) == b""
    connection.flush()
    assert come(theirs) == b"head body"


def test_a_large_piece_is_not_held_back(ends: tuple[Connection, socket.socket]) -> None:
    connection, theirs = ends
    connection.sendall(b"head ")
    connection.sendall(b"b" * _LARGE)
    came = b""
    while more := come(theirs):
        came += more
    assert came == b"head " + b"b" * _LARGE


def test_many_small_pieces_are_not_held_back_for_ever(ends: tuple[Connection, socket.socket]) -> None:
    connection, theirs = ends
    for _ in range(200):
        connection.sendall(b"p" * 1000)
        if come(theirs):
            return
    pytest.fail("200 kB were held back")


@pytest.mark.parametrize("wait", ["recv", "recv_into", "send", "shutdown"])
def test_who_waits_for_the_other_side_sends_first(ends: tuple[Connection, socket.socket], wait: str) -> None:
    connection, theirs = ends
    theirs.send(b"x")
    connection.sendall(b"head ")
    waits: dict[str, Callable[[], object]] = {
        "recv": lambda: connection.recv(1),
        "recv_into": lambda: connection.recv_into(bytearray(1)),
        "send": lambda: connection.send(b"more"),
        "shutdown": lambda: connection.shutdown(socket.SHUT_WR),
    }
    waits[wait]()
    assert come(theirs).startswith(b"head ")


def test_a_connection_keeps_its_way_of_waiting() -> None:
    mine, theirs = socket.socketpair()
    mine.setblocking(False)
    with theirs, Connection.of(mine) as connection:
        assert connection.gettimeout() == 0
        connection.setblocking(True)
        assert (connection.gettimeout(), connection.getblocking()) == (None, True)
        theirs.settimeout(None)
        theirs.sendall(b"x")
        assert connection.recv(1) == b"x"


def test_a_worker_answers_in_one_piece(door: Door) -> None:
    asked = f"GET /v1/echo HTTP/1.1\r\nHost: localhost\r\nAuthorization: {LOGIN['Authorization']}\r\n\r\n"
    with socket.socket(socket.AF_UNIX) as worker:
        worker.connect(str(door.settings.worker_sockets[0]))
        for _ in range(3):
            worker.sendall(asked.encode())
            head, _, body = worker.recv(1 << 16).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 OK\r\n")
            assert body
