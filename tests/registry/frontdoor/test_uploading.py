"""Layers come in as they are sent, never by way of a spool file."""

from __future__ import annotations

import hashlib
import json

import pytest

from tests.registry.frontdoor.door import LOGIN, Door, read_all, until

HEAD = b"PUT /v1/upload HTTP/1.1\r\nHost: x\r\nAuthorization: x\r\nConnection: close\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def test_a_chunked_upload_reaches_the_registry_before_it_ends(door: Door) -> None:
    before = len(door.pieces())
    with door.tls() as connection:
        connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunk(b"a" * 100_000))
        until(lambda: len(door.pieces()) > before, "the first bytes are with the registry")
        connection.sendall(chunk(b"b" * 10) + b"0\r\n\r\n")
        got = read_all(connection)
    assert json.loads(got.partition(b"\r\n\r\n")[2]) == {
        "size": 100_010,
        "sha256": hashlib.sha256(b"a" * 100_000 + b"b" * 10).hexdigest(),
    }


def test_an_upload_of_known_length_reaches_the_registry_before_it_ends(door: Door) -> None:
    before = len(door.pieces())
    with door.tls() as connection:
        connection.sendall(HEAD + b"Content-Length: 200000\r\n\r\n" + b"a" * 199_990)
        until(lambda: len(door.pieces()) > before, "the first bytes are with the registry")
        connection.sendall(b"b" * 10)
        got = read_all(connection)
    assert json.loads(got.partition(b"\r\n\r\n")[2])["size"] == 200_000


def test_a_large_upload_leaves_nothing_in_nginxs_folders(door: Door) -> None:
    body = bytes(32 << 20)
    assert door.ask("/v1/upload", method="PUT", body=body).json["size"] == len(body)
    spooled = [file for file in (door.settings.run / "temporary").rglob("*") if file.is_file()]
    assert spooled == []


@pytest.mark.parametrize("how", ["", "Expect: 100-continue\r\n"])
def test_after_a_refused_upload_the_next_request_on_the_connection_is_answered_right(door: Door, how: str) -> None:
    refused = f"PUT /v1/upload HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n{how}\r\nhello".encode()
    got = door.say(refused + b"GET /v1/echo HTTP/1.1\r\nHost: x\r\nAuthorization: x\r\nConnection: close\r\n\r\n")
    assert got.startswith(b"HTTP/1.1 401 ")
    assert got.count(b"HTTP/1.1 ") == 2
    assert b'"path": "/v1/echo"' in got


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
def test_a_body_that_nobody_reads_does_not_disturb_the_next_request(door: Door, method: str) -> None:
    first = f"{method} /v1/echo HTTP/1.1\r\nHost: x\r\nAuthorization: x\r\nContent-Length: 5\r\n\r\nhello".encode()
    got = door.say(first + b"GET /v1/next HTTP/1.1\r\nHost: x\r\nAuthorization: x\r\nConnection: close\r\n\r\n")
    assert got.count(b"HTTP/1.1 200 ") == 2
    assert b'"path": "/v1/next"' in got


def test_chunk_extensions_neither_reach_the_body_nor_shift_the_next_request(door: Door) -> None:
    first = b"PUT /v1/upload HTTP/1.1\r\nHost: x\r\nAuthorization: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    body = b'4;a=b\r\nabcd\r\n3;c="d"\r\nefg\r\n0;e\r\n\r\n'
    got = door.say(first + body + b"GET /v1/next HTTP/1.1\r\nHost: x\r\nAuthorization: x\r\nConnection: close\r\n\r\n")
    assert hashlib.sha256(b"abcdefg").hexdigest().encode() in got
    assert b'"path": "/v1/next"' in got


def test_uploads_over_one_kept_connection_do_not_mix(door: Door) -> None:
    connection = door.connect()
    for size in (1, 70_000, 3):
        connection.request("PUT", "/v1/upload", body=b"x" * size, headers=LOGIN)
        assert json.loads(connection.getresponse().read())["size"] == size
    connection.close()
