"""Everybody tries every route of the application; what comes of it follows from what each route takes of its caller.

A route without a rule fails. An answer is `done` unless it is 401, 403, or 404, which may hide something.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final, Literal

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from pier_registry.app import create_app
from pier_registry.preparing import prepare
from pier_registry.settings import Settings
from tests.registry.access.door import basic, line

Need = Literal["nothing", "the private port", "credentials", "a name", "a user", "pull", "a look", "push", "admin"]
Class = Literal["done", "log in", "denied", "hidden"]

# By method and rule, the first that matches.
NEEDS: Final[list[tuple[str, Need]]] = [
    (r"GET (/v1)?/_ping", "nothing"),
    (r"GET /(healthz|readyz|metrics)", "the private port"),
    (r"(GET|POST) /v2/token", "credentials"),
    (r"GET /v2/", "a name"),
    (r"(GET|POST|PUT) /v1/users/.*", "a user"),
    (r"PUT /v1/images/.*", "a user"),
    (r"GET /v1/(search|allnamespaces|alltags)", "a look"),
    (r"GET /v1/repositories/<[^>]*>(/tags/<[^>]*>)?/json", "a look"),
    (r"GET /v2/_(catalog|oci/ext/discover)", "a look"),
    (r"GET /api/(openapi\.json|repositories)", "a look"),
    (r"GET /api/repositories/<[^>]*>/reclaim", "admin"),
    (r"GET .*/reclaim", "push"),
    (r"GET .*/blobs/uploads/<[^>]*>", "push"),
    (r"GET /(v1|v2|api)/.*", "pull"),
    (r"DELETE /v1/repositories/<[^>]*>/(images|tags)?", "admin"),
    (r"DELETE /api/repositories/<[^>]*>", "admin"),
    (r"(POST|PUT|PATCH) /(v1/repositories|v2)/.*", "push"),
    (r"DELETE .*/(tags|manifests|blobs|blobs/uploads)/<[^>]*>", "push"),
]

# What a need is to each: with no credentials at all, as somebody anonymous, and as a user without the right.
STRANGER: Final[dict[Need, Class]] = {
    "nothing": "done",
    "the private port": "hidden",
    "credentials": "done",
    "a name": "done",
    "a user": "log in",
    "pull": "done",
    "a look": "done",
    "push": "log in",
    "admin": "log in",
}
KEPT, TAG, IMAGE = "kept/app", "1", hashlib.sha256(b"image").hexdigest()
LAYER: Final = b"the bytes of a layer"
SESSION: Final = "00000000-0000-4000-8000-000000000000"
PASSWORDS: Final = {name: f"password of {name}" for name in ("admin", "reader", "writer")}
RIGHTS: Final = """users:
  reader: [{role: pull, repositories: "*"}]
  writer: [{role: push, repositories: "other/*"}]
"""


@dataclass(frozen=True, slots=True)
class Route:
    method: str
    rule: str

    @property
    def need(self) -> Need:
        """Raises AssertionError for a route that nobody thought of."""
        asked = f"{'GET' if self.method == 'HEAD' else self.method} {self.rule}"
        found = [need for pattern, need in NEEDS if re.fullmatch(pattern, asked)]
        assert found, f"{asked} has no rule in NEEDS: say what it takes of its caller"
        return found[0]

    @property
    def body(self) -> bytes:
        """One that is taken, where the route looks at it before it looks at its caller."""
        if self.rule == "/v2/token":
            return b"grant_type=password&username=reader&password=" + PASSWORDS["reader"].encode()
        bodies = {"properties": b'{"access": "private"}', "<tag:tag>": json.dumps(IMAGE).encode()}
        return bodies.get(self.rule.rpartition("/")[2], b"[]") if self.method in {"POST", "PUT", "PATCH"} else b""


def sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


CONFIG: Final = b"{}"
MANIFEST: Final = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.test", "digest": sha256(CONFIG), "size": len(CONFIG)},
        "layers": [{"mediaType": "application/vnd.test", "digest": sha256(LAYER), "size": len(LAYER)}],
    }
).encode()


@dataclass(slots=True)
class Registry:
    """The application, closed or with anonymous pull, on one data folder; requests go to it without a socket."""

    closed: Flask
    open: Flask

    def routes(self) -> list[Route]:
        """Each with its own method; HEAD goes with GET."""
        return [
            Route(method, rule.rule)
            for rule in self.open.url_map.iter_rules()
            for method in sorted((rule.methods or set()) - {"OPTIONS"})
        ]

    def ask(self, app: Flask, route: Route, said: str | None) -> TestResponse:
        tag = "v1" if route.rule.startswith("/v1/") else TAG
        values = {"uuid": SESSION, "tag": tag, "image_id": IMAGE, "digest": sha256(LAYER), "reference": TAG}
        path = re.sub(r"<(?:\w+:)?(\w+)>", lambda found: values.get(found[1], KEPT), route.rule)
        if route.rule.startswith("/v1/users/<"):
            path = "/v1/users/somebody/"
        query = {"digest": sha256(LAYER)} if "/uploads/" in route.rule else {}
        headers = {} if said is None else {"Authorization": said}
        return web(app).open(path, method=route.method, query_string=query, headers=headers, data=route.body)


def web(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    data = tmp_path_factory.mktemp("matrix")
    (data / "users.htpasswd").write_text("".join(line(name, password) for name, password in PASSWORDS.items()))
    (data / "rights.yaml").write_text(RIGHTS)
    stops: list[Callable[[], object]] = []
    settings = Settings(data=data, login_failures=1_000_000)
    prepare(settings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(atexit, "register", stops.append)
        made = Registry(create_app(settings), create_app(replace(settings, anonymous_pull=True)))
    fill(web(made.closed))
    yield made
    for stop in stops:
        stop()
    for app in (made.closed, made.open):
        app.extensions["pier"].registry.metadata.close()


def fill(client: FlaskClient) -> None:
    """One image of v1 under kept/app:v1, one of v2 under kept/app:1."""
    said = {"Authorization": basic("admin", PASSWORDS["admin"])}
    told = json.dumps({"id": IMAGE}).encode()
    checksum = sha256(told + b"\n" + LAYER)
    steps = [
        client.put(f"/v1/images/{IMAGE}/json", data=told, headers=said),
        client.put(f"/v1/images/{IMAGE}/layer", data=LAYER, headers=said),
        client.put(f"/v1/images/{IMAGE}/checksum", headers=said | {"X-Docker-Checksum-Payload": checksum}),
        client.put(f"/v1/repositories/{KEPT}/tags/v1", data=json.dumps(IMAGE), headers=said),
        *(
            client.post(f"/v2/{KEPT}/blobs/uploads/?digest={sha256(blob)}", data=blob, headers=said)
            for blob in (CONFIG, LAYER)
        ),
        client.put(f"/v2/{KEPT}/manifests/{TAG}", data=MANIFEST, headers=said),
    ]
    assert [step.status_code for step in steps] == [200, 200, 200, 200, 201, 201, 201], [step.text for step in steps]


def classed(answer: TestResponse) -> Class:
    status = answer.status_code
    assert status < 500, answer.text
    if status == 401:
        return "log in"
    return "denied" if status == 403 else "hidden" if status == 404 else "done"


def mistakes(registry: Registry, app: Flask, said: str | None, expected: Callable[[Route], set[Class]]) -> list[str]:
    """Routes that answered otherwise."""
    found = []
    for route in registry.routes():
        got = classed(registry.ask(app, route, said))
        if got not in expected(route):
            found.append(f"{route.method} {route.rule} ({route.need}): {got}, not {expected(route)}")
    return found


def test_every_route_has_a_need(registry: Registry) -> None:
    rooms = {route.rule.split("/")[1] for route in registry.routes() if route.need}
    assert rooms == {"v1", "v2", "api", "_ping", "healthz", "readyz", "metrics"}


def test_a_route_without_a_rule_is_found() -> None:
    for rule in ("/v3/new", "/api/new", "/admin"):
        with pytest.raises(AssertionError, match="has no rule in NEEDS"):
            _ = Route("POST", rule).need


CLOSED: Final[dict[Need, Class]] = {"nothing": "done", "the private port": "hidden"}


@pytest.mark.parametrize(
    "said",
    [None, "", basic("", ""), basic("admin", "guess"), basic("nobody", "x"), "Bearer x.y", "Token x", "Basic !"],
    ids=["nothing", "blank", "empty", "guess", "unknown user", "bearer", "token", "garbage"],
)
def test_without_a_login_everything_is_closed(registry: Registry, said: str | None) -> None:
    assert mistakes(registry, registry.closed, said, lambda route: {CLOSED.get(route.need, "log in")}) == []


@pytest.mark.parametrize("said", [basic("admin", "guess"), basic("nobody", "x"), "Bearer x.y", "Token x", "Basic !"])
def test_wrong_credentials_are_no_anonymous_ones(registry: Registry, said: str) -> None:
    def expected(route: Route) -> set[Class]:
        if route == Route("POST", "/v2/token"):  # whose form is what counts
            return {"done"}
        return {CLOSED.get(route.need, "log in")}

    assert mistakes(registry, registry.open, said, expected) == []


def token(app: Flask, said: str | None = None) -> str:
    headers = {} if said is None else {"Authorization": said}
    return f"Bearer {web(app).get('/v2/token', headers=headers).get_json()['token']}"


@pytest.mark.parametrize("how", ["nothing", "empty", "token"])
def test_with_anonymous_pull_strangers_read_and_nothing_else(registry: Registry, how: str) -> None:
    said = {"nothing": None, "empty": basic("", ""), "token": token(registry.open)}[how]

    def expected(route: Route) -> set[Class]:
        unsaid = said is None and route.rule.startswith("/v2/") and route.need != "credentials"
        if unsaid and (route.method == "HEAD" or route.need == "a name"):
            return {"log in"}
        if route.need == "credentials" and how == "token" and route.method != "POST":
            return {"log in"}
        return {STRANGER[route.need]}

    assert mistakes(registry, registry.open, said, expected) == []


def said_by(registry: Registry, app: Flask, user: str, how: str) -> str:
    login = basic(user, PASSWORDS[user])
    return token(app, login) if how == "token" else login


def as_user(pull: Class, push: Class, admin: Class, *, how: str, tokens: bool) -> Callable[[Route], set[Class]]:
    """What a user meets whose rights end in these."""
    by_need: dict[Need, set[Class]] = {
        "the private port": {"hidden"},
        "credentials": {"done" if tokens else "hidden"},
        "a user": {"done", "hidden"},  # a layer before its json
        "pull": {pull, "hidden"} if pull == "denied" else {pull},
        "push": {push, "hidden"} if push == "done" else {push},  # an upload that nobody began
        "admin": {admin},
    }

    def expected(route: Route) -> set[Class]:
        if route.need == "credentials" and how == "token" and route.method != "POST":
            return {"log in"}
        return by_need.get(route.need, {"done"})

    return expected


EVERY_LOGIN = pytest.mark.parametrize(("setting", "how"), [("closed", "basic"), ("open", "basic"), ("open", "token")])


@EVERY_LOGIN
def test_a_reader_reads_and_is_denied_the_rest(registry: Registry, setting: str, how: str) -> None:
    app = registry.open if setting == "open" else registry.closed
    expected = as_user("done", "denied", "denied", how=how, tokens=setting == "open")
    assert mistakes(registry, app, said_by(registry, app, "reader", how), expected) == []


@EVERY_LOGIN
def test_a_writer_of_other_repositories_sees_and_does_nothing_here(registry: Registry, setting: str, how: str) -> None:
    app = registry.open if setting == "open" else registry.closed
    expected = as_user("denied", "denied", "denied", how=how, tokens=setting == "open")
    assert mistakes(registry, app, said_by(registry, app, "writer", how), expected) == []


def test_nothing_of_all_that_changed_anything(registry: Registry) -> None:
    """Runs after the refused, and before those who may."""
    said = {"Authorization": basic("reader", PASSWORDS["reader"])}
    client = web(registry.closed)
    assert client.get(f"/v2/{KEPT}/manifests/{TAG}", headers=said).data == MANIFEST
    assert client.get(f"/v1/repositories/{KEPT}/tags/v1", headers=said).get_json() == IMAGE
    usage = client.get("/api/usage", headers=said).get_json()
    assert (usage["tags"], usage["leases"], usage["uploads"]) == (2, 0, 0)


@EVERY_LOGIN
def test_an_admin_does_everything(registry: Registry, setting: str, how: str) -> None:
    """Also what is gone by then is an answer."""
    app = registry.open if setting == "open" else registry.closed

    def expected(route: Route) -> set[Class]:
        if route.need in {"pull", "push", "admin"}:
            return {"done", "hidden"}
        return as_user("done", "done", "done", how=how, tokens=setting == "open")(route)

    assert mistakes(registry, app, said_by(registry, app, "admin", how), expected) == []
