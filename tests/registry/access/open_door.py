"""A door with anonymous pull: a read and a write in each room, and where tokens are had."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Flask, g
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from pier_registry.names import RepositoryName
from pier_registry.settings import Settings
from pier_registry.web import gate, responses, routing, token_endpoint, tokens
from pier_registry.web.auth import Authenticator
from pier_registry.web.rights import Rights
from pier_registry.web.throttle import Throttle
from pier_registry.web.users import Users
from pier_registry.web.verdicts import Verdicts
from tests.registry.access.door import basic

ALICE = {"Authorization": basic("alice", "wonderland")}
EMPTY = {"Authorization": basic("", "")}
BASIC = 'Basic realm="Pier"'
BEARER = 'Bearer realm="https://localhost/v2/token",service="localhost"'


def application(settings: Settings) -> Flask:
    """A read and a write in each room, the ping of v2, and where tokens are had."""
    app = Flask("door", static_folder=None)
    authenticator = Authenticator(Users(settings.users_file), Throttle(3), Verdicts(), tokens.of(settings))
    routing.install(app)
    responses.install(app)
    gate.install(app, authenticator, Rights(settings.rights_file, "push"), settings)
    room = Blueprint("room", __name__)
    token_endpoint.register(room)
    room.get("/v2/", endpoint="ping")(lambda: gate.caller().name)
    room.get("/v2/<repository:name>/blobs/<blob>", endpoint="blob")(lambda name, blob: f"{blob} of {name}")
    for path in ("/v1/<repository:name>/tags", "/v2/<repository:name>/tags", "/api/<repository:name>/tags"):
        room.get(path, endpoint=f"read {path[:3]}")(read)
        room.put(path, endpoint=f"write {path[:3]}")(write)
        room.get(path.replace("tags", "price"), endpoint=f"price {path[:3]}")(price)
    room.get("/v1/account")(account)
    room.get("/open")(in_the_open)
    app.register_blueprint(room)
    app.after_request(_with_user)
    return app


def _with_user(answer: Any) -> Any:
    user = g.get("user")
    answer.headers["Seen"] = "nobody" if user is None else user.name or "anybody"
    return answer


def read(name: RepositoryName) -> str:
    gate.require("pull", name.full)
    return f"{name} for {gate.caller().name or 'anybody'}"


def write(name: RepositoryName) -> str:
    gate.require("push", name.full)
    return "written"


def price(name: RepositoryName) -> str:
    """A read that takes more than the right to pull."""
    gate.require("delete", name.full)
    return "told"


@gate.for_users
def account() -> str:
    return gate.caller().name


@gate.open_to_all
def in_the_open() -> str:
    return "open"


def token(web: FlaskClient, **headers: str) -> dict[str, str]:
    return {"Authorization": "Bearer " + web.get("/v2/token", headers=headers).get_json()["token"]}


def challenge(answer: TestResponse) -> str:
    assert answer.status_code == 401
    assert answer.content_type == "application/json"
    return str(answer.headers["WWW-Authenticate"])
