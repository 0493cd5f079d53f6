"""Credentials that are none: 401, never 500."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.parts.registry import Running
from tests.registry.protocol.doors import Answer, Raw

pytestmark = pytest.mark.usefixtures("unchanged")


def login(door: Running, authorization: bytes) -> Answer:
    with Raw(door) as wire:
        wire.say("GET /v1/users/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n")
        wire.say(b"Authorization: " + authorization + b"\r\n\r\n")
        return wire.answer()


def encoded(credential: bytes) -> bytes:
    return b"Basic " + base64.b64encode(credential)


@pytest.mark.parametrize(
    "authorization",
    [b"Basic", b"Basic ", b"Basic !!!", b"Basic YQ", b"Basic " + b"A" * 8000, b"Bearer x", b"Token ", b"x",
     encoded(b""), encoded(b":"), encoded(b"admin"), encoded(b":secret"), encoded(b"admin:"), encoded(b"ad\0min:x"),
     encoded(b"\xff\xfe:\xff"), encoded("ä:ö".encode()), encoded(b"admin:" + b"x" * 73), encoded(b"admin:a:b:c"),
     encoded(b"admin\r\nX: y:z"), encoded(b"x" * 5000 + b":y"), b"Basic\tYTpi", b"basic " + base64.b64encode(b"a:b")],
    ids=lambda value: repr(value[:24]),
)  # fmt: skip
def test_what_is_no_login_of_ours_is_401(door: Running, authorization: bytes) -> None:
    answer = login(door, authorization)
    assert answer.status == 401
    assert answer.json() == {"error": "Requires authorization"}
    assert answer.headers["www-authenticate"] == 'Basic realm="Pier"'


@settings(max_examples=50, deadline=None)
@given(credential=st.binary(max_size=60))
def test_no_bytes_as_a_credential_break_the_registry(door: Running, credential: bytes) -> None:
    assert login(door, encoded(credential)).status == 401


def test_a_password_with_colons_and_umlauts_works(door: Running) -> None:
    door.pier("users", "add", "colon", "--password-stdin", "--cost", "10", stdin="a:b:ä:")
    assert login(door, encoded("colon:a:b:ä:".encode())).status == 200
    assert login(door, encoded(b"colon:a:b")).status == 401


def test_a_password_beyond_what_bcrypt_reads_is_refused_and_not_cut(door: Running) -> None:
    door.pier("users", "add", "long", "--password-stdin", "--cost", "10", stdin="x" * 72)
    assert login(door, encoded(b"long:" + b"x" * 72)).status == 200
    assert login(door, encoded(b"long:" + b"x" * 73)).status == 401


def test_two_logins_in_one_request_open_nothing(door: Running) -> None:
    with Raw(door) as wire:
        wire.say("GET /v1/users/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Basic eDp5\r\n")
        wire.say(b"Authorization: " + encoded(f"admin:{door.password}".encode()) + b"\r\n\r\n")
        assert wire.answer().status in {400, 401}
