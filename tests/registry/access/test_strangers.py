"""The gate with anonymous pull: strangers read, and are asked to log in for everything else."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask.testing import FlaskClient

from pier_registry.settings import Settings
from tests.registry.access.door import basic, swap
from tests.registry.access.open_door import ALICE, BASIC, BEARER, EMPTY, application, challenge, token

# What strangers get.


@pytest.mark.parametrize("headers", [{}, EMPTY], ids=["nothing", "empty"])
@pytest.mark.parametrize("room", ["v1", "v2", "api"])
def test_a_stranger_reads(web: FlaskClient, room: str, headers: dict[str, str]) -> None:
    answer = web.get(f"/{room}/app/tags", headers=headers)
    assert (answer.status_code, answer.text, answer.headers["Seen"]) == (200, "app for anybody", "anybody")


@pytest.mark.parametrize("room", ["v1", "v2", "api"])
def test_a_stranger_with_a_token_reads(web: FlaskClient, room: str) -> None:
    assert web.get(f"/{room}/app/tags", headers=token(web)).text == "app for anybody"


@pytest.mark.parametrize("how", ["nothing", "empty", "token"])
@pytest.mark.parametrize("method", ["PUT", "POST", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize(("room", "expected"), [("v1", BASIC), ("v2", BEARER), ("api", BASIC)])
def test_a_stranger_who_writes_is_asked_to_log_in(
    web: FlaskClient, room: str, expected: str, method: str, how: str
) -> None:
    headers = {"nothing": {}, "empty": EMPTY, "token": token(web)}[how]
    assert challenge(web.open(f"/{room}/app/tags", method=method, headers=headers)).startswith(expected)


@pytest.mark.parametrize("how", ["nothing", "empty", "token"])
@pytest.mark.parametrize(("room", "expected"), [("v1", BASIC), ("v2", BEARER), ("api", BASIC)])
def test_a_stranger_who_lacks_a_right_is_asked_to_log_in(web: FlaskClient, room: str, expected: str, how: str) -> None:
    headers = {"nothing": {}, "empty": EMPTY, "token": token(web)}[how]
    assert challenge(web.get(f"/{room}/app/price", headers=headers)).startswith(expected)


def test_a_user_who_lacks_a_right_is_denied(web: FlaskClient, open_data: Path) -> None:
    swap(open_data / "rights.yaml", "users: {alice: [{role: pull, repositories: '*'}]}")
    for headers in (ALICE, token(web, **ALICE)):
        answer = web.put("/v2/app/tags", headers=headers)
        assert (answer.status_code, answer.get_json()["errors"][0]["code"]) == (403, "DENIED")
        assert "WWW-Authenticate" not in answer.headers


def test_an_entry_says_what_strangers_see(web: FlaskClient, open_data: Path) -> None:
    swap(open_data / "rights.yaml", "users: {anonymous: [{role: pull, repositories: 'public/*'}]}")
    assert web.get("/v1/public/app/tags").status_code == 200
    assert challenge(web.get("/v1/secret/app/tags")) == BASIC
    assert web.get("/v1/secret/app/tags", headers=ALICE).status_code == 200


@pytest.mark.parametrize("role", ["push", "admin"])
def test_no_entry_lets_strangers_write(web: FlaskClient, open_data: Path, role: str) -> None:
    swap(open_data / "rights.yaml", f"users: {{anonymous: [{{role: {role}, repositories: '*'}}]}}")
    assert web.get("/v1/app/tags").status_code == 200
    assert challenge(web.put("/v1/app/tags", headers=EMPTY)) == BASIC
    assert challenge(web.get("/v1/app/price")) == BASIC


@pytest.mark.parametrize("headers", [{}, EMPTY], ids=["nothing", "empty"])
def test_an_account_takes_a_user(web: FlaskClient, headers: dict[str, str]) -> None:
    assert challenge(web.get("/v1/account", headers=headers)) == BASIC
    assert web.get("/v1/account", headers=ALICE).text == "alice"


def test_a_wrong_password_is_no_stranger(web: FlaskClient) -> None:
    wrong = {"Authorization": basic("alice", "guess")}
    assert challenge(web.get("/v1/app/tags", headers=wrong)) == BASIC
    assert challenge(web.get("/v2/app/tags", headers=wrong)).startswith(BEARER)


def test_what_is_open_stays_open(web: FlaskClient) -> None:
    assert web.get("/open").text == "open"


def test_an_unknown_address_is_404_for_strangers_too(web: FlaskClient) -> None:
    assert web.get("/v1/nothing").status_code == 404


# v2: the first answer says how to log in.


@pytest.mark.parametrize("path", ["/v2/", "/v2"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_ping_of_v2_tells_where_tokens_are(web: FlaskClient, path: str, method: str) -> None:
    assert challenge(web.open(path, method=method)) == BEARER


@pytest.mark.parametrize("who", ["a user", "a user's token", "nobody's token", "empty"])
def test_the_ping_of_v2_is_answered_to_whoever_says_something(web: FlaskClient, who: str) -> None:
    headers = {"a user": ALICE, "a user's token": token(web, **ALICE), "nobody's token": token(web), "empty": EMPTY}
    answer = web.get("/v2/", headers=headers[who])
    assert (answer.status_code, answer.text) == (200, "alice" if "a user" in who else "")


def test_a_head_over_v2_is_answered_to_whoever_says_something(web: FlaskClient) -> None:
    assert challenge(web.head("/v2/app/tags")) == f'{BEARER},scope="repository:app:pull"'
    assert [web.head("/v2/app/tags", headers=said).status_code for said in (EMPTY, token(web), ALICE)] == [200] * 3
    assert web.head("/v1/app/tags").status_code == 200


# On containerd's library: no ping, and perhaps no way to a token.


@pytest.fixture(params=["docker/29.1.0 go/go1.25", "containerd/2.1.4", "buildkit/v0.25"])
def unpinged(request: pytest.FixtureRequest) -> dict[str, str]:
    return {"User-Agent": request.param}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_who_does_not_ping_reads_without_a_token(web: FlaskClient, unpinged: dict[str, str], method: str) -> None:
    assert web.open("/v2/app/tags", method=method, headers=unpinged).status_code == 200
    assert web.get("/v2/app/blobs/x", headers=unpinged).status_code == 200


def test_who_does_not_ping_sends_a_password_with_what_may_begin_a_push(
    web: FlaskClient, unpinged: dict[str, str]
) -> None:
    assert challenge(web.head("/v2/app/blobs/x", headers=unpinged)) == BASIC
    assert challenge(web.put("/v2/app/tags", headers=unpinged)) == BASIC
    assert challenge(web.get("/v2/app/price", headers=unpinged)) == BASIC
    assert web.head("/v2/app/blobs/x", headers=unpinged | ALICE).status_code == 200


def test_a_name_that_looks_like_a_blob_is_read_like_any_other(web: FlaskClient, unpinged: dict[str, str]) -> None:
    assert web.head("/v2/a/blobs/b/tags", headers=unpinged).status_code == 200


def test_their_wrong_password_is_asked_for_again(web: FlaskClient, unpinged: dict[str, str]) -> None:
    wrong = unpinged | {"Authorization": basic("alice", "guess")}
    assert challenge(web.get("/v2/app/tags", headers=wrong)) == BASIC


def test_once_they_ping_or_have_a_token_they_are_like_all_others(web: FlaskClient, unpinged: dict[str, str]) -> None:
    assert challenge(web.get("/v2/", headers=unpinged)) == BEARER
    told = challenge(web.put("/v2/app/tags", headers=unpinged | token(web)))
    assert told == f'{BEARER},scope="repository:app:pull,push"'
    told = challenge(web.head("/v2/app/blobs/x", headers=unpinged | {"Authorization": "Bearer x.y"}))
    assert told == f'{BEARER},scope="repository:app:pull"'


@pytest.mark.parametrize("agent", ["skopeo/1.9.3", "oras/1.3.6", "notdocker/29.1.0", "Go-http-client/1.1"])
def test_all_others_are_sent_for_a_token(web: FlaskClient, agent: str) -> None:
    for method in ("HEAD", "PUT"):
        assert challenge(web.open("/v2/app/tags", method=method, headers={"User-Agent": agent})).startswith(BEARER)


@pytest.mark.parametrize("scheme", ["Bearer", "Basic"])
def test_an_endless_header_is_refused_like_any_other(web: FlaskClient, scheme: str) -> None:
    headers = {"Authorization": f"{scheme} {'x' * 20_000}", "User-Agent": "docker/29.1.0"}
    assert challenge(web.get("/v2/app/tags", headers=headers)) == BASIC


@pytest.mark.parametrize(("method", "actions"), [("HEAD", "pull"), ("PUT", "pull,push")])
@pytest.mark.parametrize("name", ["app", "team/app", "team/tags/list"])
def test_the_challenge_names_repository_and_right(web: FlaskClient, method: str, actions: str, name: str) -> None:
    told = challenge(web.open(f"/v2/{name}/tags", method=method))
    assert told == f'{BEARER},scope="repository:{name}:{actions}"'


@pytest.mark.parametrize("path", ["/v2/Upper/tags", "/v2/app%22/tags", "/v2/nothing"])
def test_a_challenge_never_repeats_what_is_no_name(web: FlaskClient, path: str) -> None:
    assert challenge(web.put(path)) == BEARER


def test_the_challenge_names_the_host_that_the_client_asked(web: FlaskClient) -> None:
    told = challenge(web.get("/v2/", headers={"Host": "registry.example.org:5443"}))
    assert told == ('Bearer realm="https://registry.example.org:5443/v2/token",service="registry.example.org:5443"')


@pytest.mark.parametrize("host", ['a"b', "a b", "a,b", "a/b", "\u00e9"])
def test_a_host_that_is_none_gets_no_challenge(web: FlaskClient, host: str) -> None:
    answer = web.get("/v2/", environ_overrides={"HTTP_HOST": host})
    assert answer.status_code == 400
    assert "WWW-Authenticate" not in answer.headers


def test_the_public_url_wins_over_the_host(open_data: Path) -> None:
    settings = Settings(data=open_data, anonymous_pull=True, public_url="https://pier.example.org")
    with application(settings).test_client() as web:
        told = challenge(web.get("/v2/", headers={"Host": "inside:5443"}))
    assert told == 'Bearer realm="https://pier.example.org/v2/token",service="pier.example.org"'


@pytest.mark.parametrize("agent", ["docker/1.9.1 go/go1.4.3", "Go 1.1 package http"])
@pytest.mark.parametrize("headers", [{}, ALICE], ids=["nobody", "alice"])
@pytest.mark.parametrize("path", ["/v2", "/v2/", "/v2/token", "/v2/app/tags", "/v2/nothing"])
def test_old_engines_find_no_v2(web: FlaskClient, path: str, headers: dict[str, str], agent: str) -> None:
    answer = web.get(path, headers=headers | {"User-Agent": agent})
    assert answer.status_code == 404
    assert "WWW-Authenticate" not in answer.headers
    assert web.get("/v1/app/tags", headers=headers | {"User-Agent": agent}).status_code == 200
