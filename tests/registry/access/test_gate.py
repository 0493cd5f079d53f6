"""The gate in a running Flask application: closed unless marked open."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask, Response
from flask.testing import FlaskClient

from pier_registry import errors
from pier_registry.settings import Settings
from pier_registry.web import gate
from pier_registry.web.auth import Authenticator
from pier_registry.web.rights import Rights
from pier_registry.web.throttle import Throttle
from pier_registry.web.users import Users
from pier_registry.web.verdicts import Verdicts
from tests.registry.access.door import basic, line

ALICE = {"Authorization": basic("alice", "wonderland")}


def application(data: Path) -> Flask:
    settings = Settings(data=data, trusted_proxies=("127.0.0.0/8",))
    authenticator = Authenticator(Users(settings.users_file), Throttle(3), Verdicts())
    app = Flask("door")
    gate.install(app, authenticator, Rights(settings.rights_file, "none"), settings)

    @app.errorhandler(errors.PierError)
    def refuse(refused: errors.PierError) -> Response:
        return Response(refused.message, refused.status, refused.headers())

    @app.get("/ping")
    @gate.open_to_all
    def ping() -> str:
        return "pong"

    @app.get("/open-but-asks")
    @gate.open_to_all
    def asks() -> str:
        return gate.caller().name

    @app.get("/me")
    def me() -> str:
        return f"{gate.caller().name} from {gate.client()}"

    @app.route("/push/<path:repository>", methods=["PUT"])
    def push(repository: str) -> str:
        gate.require("push", repository)
        return "pushed"

    @app.get("/may/<path:repository>")
    def may(repository: str) -> str:
        return str(gate.may("pull", repository))

    return app


@pytest.fixture
def web(tmp_path: Path) -> Iterator[FlaskClient]:
    (tmp_path / "users.htpasswd").write_text(line("alice", "wonderland"))
    (tmp_path / "rights.yaml").write_text("users: {alice: [{role: push, repositories: team/*}]}")
    with application(tmp_path).test_client() as client:
        yield client


def test_a_route_is_closed_unless_it_is_marked_open(web: FlaskClient) -> None:
    answer = web.get("/me")
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, 'Basic realm="Pier"')


def test_who_logs_in_is_known_to_the_route(web: FlaskClient) -> None:
    assert web.get("/me", headers=ALICE).text == "alice from 127.0.0.1"


def test_an_open_route_answers_anyone(web: FlaskClient) -> None:
    assert (web.get("/ping").text, web.get("/ping", headers={"Authorization": "Basic x"}).text) == ("pong", "pong")


def test_an_open_route_has_no_caller(web: FlaskClient) -> None:
    assert web.get("/open-but-asks", headers=ALICE).status_code == 401


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/nothing"), ("POST", "/me"), ("OPTIONS", "/me"), ("HEAD", "/me")]
)
def test_strangers_do_not_learn_which_addresses_exist(web: FlaskClient, method: str, path: str) -> None:
    assert web.open(path, method=method).status_code == 401


def test_an_unknown_address_is_404_for_users(web: FlaskClient) -> None:
    assert web.get("/nothing", headers=ALICE).status_code == 404


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Docker-Token": 'signature=x,repository="team/app",access=write'},
        {"X-Docker-Token": "true"},
        {"Authorization": 'Token signature=x,repository="team/app",access=write'},
        {"Cookie": "session=eyJ1c2VyIjoiYWxpY2UifQ.x.y"},
        {"X-Forwarded-User": "alice", "X-Remote-User": "alice"},
    ],
)
def test_tokens_cookies_and_headers_of_others_open_nothing(web: FlaskClient, headers: dict[str, str]) -> None:
    assert web.get("/me", headers=headers).status_code == 401


def test_a_login_leaves_no_cookie_to_be_reused(web: FlaskClient) -> None:
    answer = web.get("/me", headers=ALICE)
    assert "Set-Cookie" not in answer.headers
    assert web.get("/me").status_code == 401


def test_a_missing_right_is_403(web: FlaskClient) -> None:
    assert web.put("/push/team/app", headers=ALICE).text == "pushed"
    answer = web.put("/push/other/app", headers=ALICE)
    assert (answer.status_code, "right to push on other/app" in answer.text) == (403, True)


def test_routes_can_ask_without_refusing(web: FlaskClient) -> None:
    assert (web.get("/may/team/a", headers=ALICE).text, web.get("/may/a/b", headers=ALICE).text) == ("True", "False")


def test_too_many_wrong_passwords_are_429_with_a_time(web: FlaskClient) -> None:
    wrong = {"Authorization": basic("alice", "guess"), "X-Forwarded-For": "203.0.113.9"}
    assert [web.get("/me", headers=wrong).status_code for _ in range(4)] == [401, 401, 401, 429]
    assert 0 < int(web.get("/me", headers=wrong).headers["Retry-After"]) <= 60


def test_failures_are_counted_against_the_client_that_a_trusted_proxy_names(web: FlaskClient) -> None:
    wrong = {"Authorization": basic("alice", "guess"), "X-Forwarded-For": "203.0.113.9"}
    for _ in range(4):
        web.get("/me", headers=wrong)
    assert web.get("/me", headers=ALICE | {"X-Forwarded-For": "203.0.113.9"}).status_code == 429
    assert web.get("/me", headers=ALICE | {"X-Forwarded-For": "203.0.113.10"}).status_code == 200
