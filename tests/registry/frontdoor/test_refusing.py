"""What is no honest HTTP is refused at the door, and the connection with it."""

from __future__ import annotations

import contextlib
import json
import time

import pytest

from tests.registry.frontdoor.door import Door, read_all

PUT = b"PUT /v1/upload HTTP/1.1\r\nHost: x\r\nAuthorization: x\r\n"
SMUGGLED = b"GET /v1/smuggled HTTP/1.1\r\nHost: x\r\nAuthorization: x\r\n\r\n"


@pytest.mark.parametrize(
    "framing",
    [
        pytest.param(b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", id="CL.TE"),
        pytest.param(b"Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\n", id="TE.CL"),
        pytest.param(b"Content-Length: 4\r\nContent-Length: 4\r\n\r\nabcd", id="two equal lengths"),
        pytest.param(b"Content-Length: 4\r\nContent-Length: 9\r\n\r\nabcd", id="two lengths"),
        pytest.param(b"Content-Length: 4, 4\r\n\r\nabcd", id="a list of lengths"),
        pytest.param(b"Content-Length: +4\r\n\r\nabcd", id="signed length"),
        pytest.param(b"Content-Length: -1\r\n\r\n", id="negative length"),
        pytest.param(b"Content-Length: 0x4\r\n\r\nabcd", id="hexadecimal length"),
        pytest.param(b"Content-Length : 4\r\n\r\nabcd", id="space before the colon"),
        pytest.param(b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", id="chunked, identity"),
        pytest.param(b"Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n", id="identity, chunked"),
        pytest.param(b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", id="xchunked"),
        pytest.param(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n", id="two encodings"),
        pytest.param(b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", id="space before the colon of the encoding"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabcd\r\n0\r\n\r\n", id="a chunk size that is none"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n-4\r\nabcd\r\n0\r\n\r\n", id="negative chunk size"),
        pytest.param(
            b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nabcd\r\n0\r\n\r\n", id="huge chunk size"
        ),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n4\r\nabcdX\r\n0\r\n\r\n", id="a chunk longer than it said"),
    ],
)
def test_a_body_whose_end_is_disputable_is_refused_and_the_connection_closed(door: Door, framing: bytes) -> None:
    got = door.say(PUT + framing + SMUGGLED)
    head, _, body = got.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"Connection: close" in head
    assert got.count(b"HTTP/1.1 ") == 1
    assert set(json.loads(body)) == {"error"}
    assert "GET /v1/smuggled" not in door.seen()


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"garbage\r\n\r\n", 400),
        (b"GET /v1/echo HTTP/9.9\r\nHost: x\r\n\r\n", 400),
        (b"GET /v1/echo HTTP/1.1\r\n\r\n", 400),
        (b"GET /v1/echo HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET /v1/echo HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
        (b"GET /v1/echo HTTP/1.1\r\nHost: x\r\nBad\x00: x\r\n\r\n", 400),
        (b"TRACE /v1/echo HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        (b"CONNECT elsewhere:443 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /v1/" + b"a" * 65536 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"GET /v1/echo HTTP/1.1\r\nHost: x\r\n" + b"Accept: text/plain\r\n" * 10_000 + b"\r\n", 400),
        (b"GET /v1/echo HTTP/1.1\r\nHost: x\r\nA: " + b"b" * (1 << 20) + b"\r\n\r\n", 400),
        (b"GET /v2/a HTTP/9.9\r\nHost: x\r\n\r\n", 400),
        (b"GET /v2/ HTTP/1.1\r\n\r\n", 400),
        (b"GET /v2/ HTTP/1.1\r\nHost: x\r\nBad\x00: x\r\n\r\n", 400),
        (b"GET /v2/%zz HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"TRACE /v2/ HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        (b"GET /v2/" + b"a" * 65536 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"GET /v2/a HTTP/1.1\r\nHost: x\r\n" + b"Accept: text/plain\r\n" * 10_000 + b"\r\n", 400),
        (b"GET /v2/a HTTP/1.1\r\nHost: x\r\nA: " + b"b" * (1 << 20) + b"\r\n\r\n", 400),
        (b"PUT /v2/a HTTP/1.1\r\nHost: x\r\nAuthorization: x\r\nContent-Length: -1\r\n\r\n", 400),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_malformed_or_oversized_request_is_refused_as_json(door: Door, request_: bytes, status: int) -> None:
    before = len(door.seen())
    head, _, body = door.say(request_).partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"Content-Type: application/json" in head
    is_v2 = b" /v2/" in request_
    assert set(json.loads(body)) == ({"errors"} if is_v2 else {"error"})
    assert (b"Docker-Distribution-Api-Version: registry/2.0" in head) == is_v2
    assert len(door.seen()) == before


def test_clients_that_send_their_headers_slowly_are_let_go_while_others_are_served(door: Door) -> None:
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(door.tls()) for _ in range(100)]
        for connection in slow:
            connection.sendall(b"GET /v1/echo HTTP/1.1\r\nHo")
        begun = time.monotonic()
        assert door.ask("/v1/echo").status == 200
        assert time.monotonic() - begun < 2
        for connection in slow:
            connection.settimeout(40)
            assert b"/v1/echo" not in read_all(connection)
        assert 15 < time.monotonic() - begun < 35
