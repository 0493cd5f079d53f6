"""Ping, log in, and the absence of v2 for old engines: what a client asks before it asks for anything."""

from __future__ import annotations

import httpx
import pytest

from tests.parts.registry import Running
from tests.registry.protocol.doors import Raw
from tests.registry.protocol.pushing import error

OLD_AGENTS = ["docker/1.6.2 go/go1.4.2 os/linux arch/amd64", "Go 1.1 package http"]


@pytest.mark.parametrize("path", ["/_ping", "/v1/_ping"])
def test_a_ping_needs_no_login_and_says_standalone(door: Running, path: str) -> None:
    answer = door.anonymous().get(path)
    assert (answer.status_code, answer.text) == (200, "{}")
    assert answer.headers["X-Docker-Registry-Standalone"] == "True"
    assert answer.headers["X-Docker-Registry-Version"]
    assert answer.headers["Content-Type"] == "application/json"


def test_answers_carry_the_originals_caching_headers(admin: httpx.Client) -> None:
    answer = admin.get("/v1/users/")
    kept = {name: answer.headers[name] for name in ("Cache-Control", "Pragma", "Expires")}
    assert kept == {"Cache-Control": "no-cache", "Pragma": "no-cache", "Expires": "-1"}


@pytest.mark.parametrize("path", ["/v1/_pingX", "/v1/_ping/x", "/_pingX"])
def test_only_the_exact_pings_are_open(door: Running, path: str) -> None:
    assert door.anonymous().get(path).status_code in {401, 404}
    assert door.client().get(path).status_code == 404


@pytest.mark.parametrize("path", ["/v1/users", "/v1/users/"])
def test_a_login_is_a_get_of_users_with_basic(admin: httpx.Client, path: str) -> None:
    answer = admin.get(path)
    assert (answer.status_code, answer.text) == (200, '"OK"')


def test_a_login_without_a_password_is_asked_for_one(door: Running) -> None:
    answer = door.anonymous().get("/v1/users/")
    assert error(answer) == (401, "Requires authorization")
    assert answer.headers["WWW-Authenticate"] == 'Basic realm="Pier"'


def test_a_wrong_password_is_401(door: Running) -> None:
    answer = door.client("nobody", "wrong").get("/v1/users/")
    assert error(answer) == (401, "Requires authorization")
    assert answer.headers["WWW-Authenticate"] == 'Basic realm="Pier"'


def test_signing_up_without_login_is_401_so_that_old_dockers_go_on_to_log_in(door: Running) -> None:
    account = {"username": "new", "password": "secret", "email": "new@example.org"}
    assert door.anonymous().post("/v1/users/", json=account).status_code == 401


@pytest.mark.parametrize("path", ["/v1/users", "/v1/users/"])
def test_signing_up_with_a_login_gets_the_exact_text_that_means_log_in(admin: httpx.Client, path: str) -> None:
    answer = admin.post(path, json={"username": "admin", "password": "secret", "email": "a@example.org"})
    assert (answer.status_code, answer.content) == (400, b'"Username or email already exists"')


def test_signing_up_with_something_else_than_json_is_refused(admin: httpx.Client) -> None:
    assert error(admin.post("/v1/users/", content=b"username=new")) == (400, "Error Decoding JSON")


def test_changing_an_account_is_answered_and_changes_nothing(admin: httpx.Client) -> None:
    answer = admin.put("/v1/users/admin/", json={"password": "other"})
    assert (answer.status_code, answer.content) == (204, b"")
    assert admin.get("/v1/users/").status_code == 200


@pytest.mark.parametrize("agent", OLD_AGENTS)
@pytest.mark.parametrize(
    "path", ["/v2/", "/v2", "/v2/_catalog", "/v2/team/app/manifests/latest", "/v2/x/blobs/uploads/"]
)
def test_old_engines_find_no_v2_before_any_login(door: Running, path: str, agent: str) -> None:
    for client in (door.anonymous(), door.client("nobody", "wrong")):
        answer = client.get(path, headers={"User-Agent": agent})
        assert answer.status_code == 404
        assert "Docker-Distribution-Api-Version" not in answer.headers
        assert "WWW-Authenticate" not in answer.headers


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "PATCH", "DELETE"])
def test_old_engines_find_no_v2_by_any_method(admin: httpx.Client, method: str) -> None:
    assert admin.request(method, "/v2/team/app/blobs/uploads/").status_code == 404


@pytest.mark.parametrize(
    "path", ["/v1/_status", "/_status", "/v1/_versions", "/v1/private_images/x/json", "/v1/nothing"]
)
def test_what_the_original_had_and_nobody_asks_for_is_not_there(admin: httpx.Client, path: str) -> None:
    answer = admin.get(path)
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/json"


def test_a_method_that_an_address_does_not_take_is_405_and_names_those_it_takes(admin: httpx.Client) -> None:
    answer = admin.delete("/v1/search")
    assert error(answer)[0] == 405
    assert "GET" in answer.headers["Allow"]


def test_answers_end_without_a_newline(door: Running) -> None:
    with Raw(door) as wire:
        assert wire.ask("GET /v1/_ping", "Connection: close\r\n").body == b"{}"
        assert wire.closed()
