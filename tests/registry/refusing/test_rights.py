"""Every route of the application, tried by everybody; what is not said here to be open is closed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import httpx
import pytest
from flask import Flask

from tests.clients.v1_model import Layer
from tests.parts.registry import Running
from tests.registry.protocol import routes
from tests.registry.protocol.doors import user
from tests.registry.protocol.pushing import digest, error, fresh_id, image, put_json
from tests.registry.protocol.routes import Route
from tests.registry.refusing.conftest import KEPT

OPEN: Final = {"/_ping", "/v1/_ping"}
# Routes that name no repository and show or change only what is the caller's own.
OWN: Final = {
    ("GET", "/v1/users/"), ("POST", "/v1/users/"), ("PUT", "/v1/users/<name>/"), ("GET", "/v1/search"),
    ("GET", "/v1/allnamespaces"), ("GET", "/v1/alltags"), ("GET", "/api/openapi.json"), ("GET", "/api/repositories"),
    ("PUT", "/v1/images/<image:image_id>/json"), ("PUT", "/v1/images/<image:image_id>/layer"),
    ("PUT", "/v1/images/<image:image_id>/checksum"),
}  # fmt: skip
# Never 404: who may not see the tag is told the same defaults as for one that is not there.
DEFAULTS: Final = {
    "/v1/repositories/<v1repository:name>/json",
    "/v1/repositories/<v1repository:name>/tags/<tag:tag>/json",
}
CLOSED: Final = {401, 403, 404}


def knock(client: httpx.Client, route: Route, kept: Layer) -> httpx.Response:
    path = route.path(repository=KEPT, tag="1", image=kept.id, digest=digest(kept))
    bodies = {"properties": b'{"access": "public"}', "1": b'"%s"' % kept.id.encode()}
    body = b"" if route.method == "GET" else bodies.get(path.rpartition("/")[2], b"[]")
    return client.request(route.method, path, content=body)


def is_json(answer: httpx.Response) -> bool:
    return answer.headers["Content-Type"] == "application/json" and answer.json() is not None


def test_the_map_is_complete(app: Flask) -> None:
    found = {(route.method, route.rule) for route in routes.of(app)}
    assert found >= OWN
    assert {rule for _, rule in found} >= OPEN | DEFAULTS


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("who", ["nobody", "wrong password", "token", "garbage"])
def test_without_a_login_everything_but_the_pings_is_closed(door: Running, app: Flask, kept: Layer, who: str) -> None:
    client = _stranger(door, who)
    for route in routes.of(app):
        answer = knock(client, route, kept)
        assert answer.status_code == (200 if route.rule in OPEN else 401), route
        assert is_json(answer), route


def _stranger(door: Running, who: str) -> httpx.Client:
    match who:
        case "nobody":
            return door.anonymous()
        case "wrong password":
            return door.client("admin", "wrong")
        case "token":
            return _with(door, 'Token signature=ABC,repository="kept/app",access=write')
    return _with(door, "Basic !!!")


def _with(door: Running, authorization: str) -> httpx.Client:
    client = door.anonymous()
    client.headers["Authorization"] = authorization
    return client


@pytest.mark.usefixtures("unchanged")
def test_a_writer_of_another_repository_can_neither_see_nor_change_this_one(
    door: Running, app: Flask, kept: Layer
) -> None:
    client = user(door, "outsider", "push", "elsewhere/*")
    for route in routes.of(app):
        if (route.method, route.rule) in OWN or route.rule in OPEN:
            continue
        answer = knock(client, route, kept)
        if route.rule in DEFAULTS:
            assert answer.json()["last_update"] is None, route
        else:
            assert answer.status_code in CLOSED, route
        assert is_json(answer), route


@pytest.mark.usefixtures("unchanged")
def test_a_reader_can_change_nothing(door: Running, app: Flask, kept: Layer) -> None:
    client = user(door, "keptreader", "pull", "kept/*")
    for route in routes.changing(app):
        if (route.method, route.rule) not in OWN:
            assert knock(client, route, kept).status_code == 403, route


@pytest.mark.usefixtures("unchanged")
def test_a_reader_sees_what_it_may_read(door: Running, app: Flask, kept: Layer) -> None:
    client = user(door, "keptviewer", "pull", "kept/*")
    refused = {"/api/usage", *(route.rule for route in routes.of(app) if route.rule.endswith("/reclaim"))}
    for route in routes.of(app):
        if route.method == "GET":
            assert knock(client, route, kept).status_code == (403 if route.rule in refused else 200), route


@pytest.mark.usefixtures("unchanged")
def test_a_pusher_cannot_delete_the_repository_nor_preview_that(door: Running, app: Flask, kept: Layer) -> None:
    client = user(door, "keptpusher", "push", "kept/*")
    for path in ("/v1/repositories/kept/app/", "/v1/repositories/kept/app/tags", "/api/repositories/kept/app"):
        assert client.delete(path).status_code == 403
    assert client.get("/api/repositories/kept/app/reclaim").status_code == 403
    assert client.get("/api/repositories/kept/app/tags/1/reclaim").status_code == 200


@pytest.mark.usefixtures("unchanged")
def test_lists_of_an_outsider_do_not_mention_what_is_not_theirs(door: Running, kept: Layer) -> None:
    client = user(door, "listless", "push", "elsewhere/*")
    for path in ("/v1/search", "/v1/allnamespaces", "/v1/alltags?q=kept", "/api/repositories"):
        assert "kept" not in client.get(path).text.replace("?q=kept", "")


@pytest.mark.usefixtures("unchanged")
def test_what_is_unknown_and_what_is_hidden_look_the_same(door: Running, kept: Layer) -> None:
    client = user(door, "curious", "push", "elsewhere/*")
    for path, unknown in (
        ("/v1/repositories/kept/app/tags", "/v1/repositories/kept/no/tags"),
        ("/v1/repositories/kept/app/images", "/v1/repositories/kept/no/images"),
        (f"/v1/images/{kept.id}/json", f"/v1/images/{fresh_id()}/json"),
        (f"/api/layers/{digest(kept)}", f"/api/layers/sha256:{fresh_id()}"),
    ):
        hidden, absent = client.get(path), client.get(unknown)
        assert hidden.status_code == absent.status_code == 404
        assert [hidden.json().get("error")] == [absent.json().get("error")]


@pytest.mark.usefixtures("unchanged")
def test_a_parent_that_the_caller_cannot_push_does_not_exist(door: Running, kept: Layer) -> None:
    client = user(door, "fatherless", "push", "elsewhere/*")
    assert error(put_json(client, image(kept))) == (400, "Image depends on a non existing parent")


def test_admin_may_do_everything(door: Running, app: Flask, kept: Layer, admin: httpx.Client) -> None:
    for route in routes.of(app):
        path = route.path(repository="kept/other", tag="1")
        assert admin.request(route.method, path, content=b"[]").status_code not in {401, 403, 500, 503}, route


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    "lie",
    [{"X-Pier-User": "admin"}, {"X-Forwarded-User": "admin"}, {"Remote-User": "admin"}, {"X-Pier-Private": "1"},
     {"X-Remote-User": "admin"}, {"Cookie": "session=admin"}, {"X-Docker-Token": "true"}, {"X-Original-URL": "/_ping"},
     {"X-HTTP-Method-Override": "GET"}, {"X-Rewrite-URL": "/v1/_ping"}, {"X-Script-Name": "/v1"}],
    ids=str,
)  # fmt: skip
def test_a_header_opens_nothing(door: Running, lie: dict[str, str], state: Callable[[], str]) -> None:
    client = door.anonymous()
    for path in ("/v1/users/", "/api/usage", "/v1/repositories/kept/app/tags"):
        assert client.get(path, headers=lie).status_code == 401
    assert client.delete("/v1/repositories/kept/app/tags/1", headers=lie).status_code == 401
    for path in ("/metrics", "/healthz", "/readyz"):
        assert client.get(path, headers=lie).status_code in {401, 404}


def _user(door: Running, name: str, role: str, repositories: str) -> httpx.Client:
    return user(door, name, role, repositories)
