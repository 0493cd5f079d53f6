"""Where tokens of anonymous pull are had, and that there are none without it."""

from __future__ import annotations

import base64
import json
import re

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.registry.access.door import basic
from tests.registry.access.open_door import ALICE, BASIC, EMPTY, challenge, token


def test_whoever_asks_gets_a_token(web: FlaskClient) -> None:
    answer = web.get("/v2/token?service=localhost&scope=repository:app:pull&scope=repository:b:pull&client_id=docker")
    told = answer.get_json()
    assert set(told) == {"token", "access_token", "expires_in", "issued_at"}
    assert (told["token"], told["expires_in"]) == (told["access_token"], 300)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", told["issued_at"])
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Seen"] == "anybody"


@pytest.mark.parametrize("headers", [{}, EMPTY], ids=["nothing", "empty"])
def test_the_token_of_a_stranger_names_nobody(web: FlaskClient, headers: dict[str, str]) -> None:
    assert web.get("/v2/app/tags", headers=token(web, **headers)).text == "app for anybody"


def test_a_login_gets_a_token_of_its_own(web: FlaskClient) -> None:
    answer = web.get("/v2/token?account=alice&offline_token=true", headers=ALICE)
    assert answer.headers["Seen"] == "alice"
    assert "refresh_token" not in answer.get_json()
    bearer = {"Authorization": f"Bearer {answer.get_json()['access_token']}"}
    assert web.get("/v2/app/tags", headers=bearer).text == "app for alice"
    assert web.put("/v2/app/tags", headers=bearer).text == "written"


def test_a_wrong_password_gets_no_token_and_is_counted(web: FlaskClient) -> None:
    wrong = {"Authorization": basic("alice", "guess")}
    assert [challenge(web.get("/v2/token", headers=wrong)) for _ in range(3)] == [BASIC] * 3
    assert web.get("/v2/token", headers=wrong).status_code == 429
    assert web.get("/v2/token", headers=ALICE).status_code == 429


@pytest.mark.parametrize("said", ["Bearer x.y", "Token x", "Basic !", basic("", "x"), basic("anonymous", "")])
def test_nothing_else_gets_a_token(web: FlaskClient, said: str) -> None:
    assert challenge(web.get("/v2/token", headers={"Authorization": said})) == BASIC


def test_a_token_gets_no_other_token(web: FlaskClient) -> None:
    assert challenge(web.get("/v2/token", headers=token(web, **ALICE))) == BASIC


def form(web: FlaskClient, **fields: str) -> TestResponse:
    sent = {"service": "localhost", "client_id": "containerd-client", "scope": "repository:app:pull,push"} | fields
    return web.post("/v2/token", data=sent)


def test_a_login_may_come_as_a_form(web: FlaskClient) -> None:
    told = form(web, grant_type="password", username="alice", password="wonderland").get_json()
    bearer = {"Authorization": f"Bearer {told['access_token']}"}
    assert web.put("/v2/app/tags", headers=bearer).text == "written"


def test_a_form_may_name_nobody(web: FlaskClient) -> None:
    told = form(web, grant_type="password", username="", password="").get_json()
    bearer = {"Authorization": f"Bearer {told['access_token']}"}
    assert web.get("/v2/app/tags", headers=bearer).text == "app for anybody"


@pytest.mark.parametrize(
    ("name", "password"), [("alice", "guess"), ("alice", ""), ("", "x"), ("a\0b", "x"), ("\ud800", "x")]
)
def test_a_wrong_form_gets_no_token(web: FlaskClient, name: str, password: str) -> None:
    body = {"grant_type": "password", "username": name.encode("utf-8", "surrogatepass"), "password": password}
    assert challenge(web.post("/v2/token", data=body)) == BASIC


@pytest.mark.parametrize("grant", ["", "refresh_token", "authorization_code"])
def test_only_a_password_is_a_grant(web: FlaskClient, grant: str) -> None:
    answer = form(web, grant_type=grant, username="alice", password="wonderland", refresh_token="x")
    assert (answer.status_code, "grant_type must be password" in answer.text) == (400, True)


def test_an_endless_form_is_refused(web: FlaskClient) -> None:
    assert web.post("/v2/token", data=b"x" * 100_000).status_code == 413


# Off, as it is by default.


@pytest.mark.parametrize(
    "path", ["/v2/", "/v2", "/v2/app/tags", "/v2/token", "/v2/nothing", "/v1/app/tags", "/api/x/tags"]
)
@pytest.mark.parametrize("headers", [{}, EMPTY, {"Authorization": "Bearer x.y"}], ids=["nothing", "empty", "token"])
def test_without_the_setting_everybody_logs_in_with_a_password(
    closed: FlaskClient, path: str, headers: dict[str, str]
) -> None:
    assert challenge(closed.get(path, headers=headers)) == BASIC


def test_without_the_setting_nobody_is_told_where_tokens_would_be(closed: FlaskClient) -> None:
    assert closed.get("/v2/token", headers=ALICE).status_code == 404
    assert form(closed, grant_type="password", username="alice", password="wonderland").status_code == 401
    assert closed.post("/v2/token", headers=ALICE, data={"grant_type": "password"}).status_code == 404


def test_a_token_dies_with_the_setting(web: FlaskClient, closed: FlaskClient) -> None:
    assert challenge(closed.get("/v2/app/tags", headers=token(web, **ALICE))) == BASIC


def test_a_token_says_nothing_but_who_and_how_long(web: FlaskClient) -> None:
    said = token(web, **ALICE)["Authorization"].removeprefix("Bearer ").partition(".")[0]
    assert set(json.loads(base64.urlsafe_b64decode(said + "=="))) == {"user", "until"}
