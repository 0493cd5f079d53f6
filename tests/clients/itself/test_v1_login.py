"""Logging in: old engines try to register first, newer ones ask v2 first."""

from __future__ import annotations

import json

import pytest

from tests.clients.itself.conftest import Connect
from tests.clients.itself.scripted import Server, TinyRegistry, answer
from tests.clients.v1 import ClientError

PING, V2 = "GET /v1/_ping", "GET /v2/"
POST, GET = "POST /v1/users/", "GET /v1/users/"
BASIC = "Basic YWRtaW46c2VjcmV0"


@pytest.fixture
def guarded(registry: TinyRegistry) -> TinyRegistry:
    """As behind a proxy that wants a password for everything but the ping."""
    registry.rule("(GET|POST) /v1/users/", lambda seen: answer(200 if seen.header("Authorization") == BASIC else 401))
    return registry


@pytest.mark.parametrize(
    ("version", "lines"),
    [
        ("1.4.1", [PING, POST, GET]),
        ("1.6.2", [V2, PING, POST, GET]),
        ("1.9.1", [V2, PING, POST, GET]),
        ("1.13.1", [V2, V2, GET]),
    ],
)
def test_login_asks_what_its_version_asks(
    connect: Connect, server: Server, guarded: TinyRegistry, version: str, lines: list[str]
) -> None:
    connect(version).login()
    assert server.lines == lines


@pytest.mark.parametrize("version", ["1.6.2", "1.9.1", "1.13.1"])
def test_a_wrong_password_is_told(connect: Connect, guarded: TinyRegistry, version: str) -> None:
    with pytest.raises(ClientError, match="Wrong login/password, please try again"):
        connect(version, password="wrong").login()


@pytest.mark.parametrize(("version", "agent"), [("1.6.2", "Go 1.1 package http"), ("1.9.1", "docker/1.9.1 go/go1.4.3")])
def test_the_registration_carries_the_account_and_no_credentials(
    connect: Connect, server: Server, guarded: TinyRegistry, version: str, agent: str
) -> None:
    connect(version).login()
    seen = server.one(POST)
    assert (seen.header("User-Agent") or "").startswith(agent)
    assert (seen.header("Authorization"), seen.header("Content-Type")) == (None, "application/json; charset=utf-8")
    told = {"username": "admin", "password": "secret", "auth": "", "email": "admin@example.org"}
    assert json.loads(seen.body) == told


def test_a_created_account_needs_no_further_question(connect: Connect, server: Server, registry: TinyRegistry) -> None:
    registry.rule(POST, answer(201, '"User Created"'))
    connect().login()
    assert server.lines[-1] == POST


def test_an_existing_account_is_recognised_by_the_exact_text(connect: Connect, guarded: TinyRegistry) -> None:
    guarded.rule(POST, answer(400, '"Username or email already exists"'))
    connect().login()


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (400, '"Username or email already exists"\n', "Registration: "),
        (404, "<html>", r"Unexpected status code \[404\] : <html>"),
    ],
)
def test_any_other_answer_to_the_registration_is_an_error(
    connect: Connect, guarded: TinyRegistry, status: int, body: str, message: str
) -> None:
    guarded.rule(POST, answer(status, body))
    with pytest.raises(ClientError, match=message):
        connect().login()


@pytest.mark.parametrize(("status", "message"), [(403, "Account is not active"), (500, "Internal Server Error")])
def test_a_refused_account_is_told(connect: Connect, registry: TinyRegistry, status: int, message: str) -> None:
    registry.rule(GET, answer(status))
    with pytest.raises(ClientError, match=message):
        connect("1.13.1").login()
