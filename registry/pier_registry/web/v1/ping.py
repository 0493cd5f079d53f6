"""Ping and users: how old clients find out that this is a registry, and log in."""

from __future__ import annotations

from flask import Blueprint, Response

from pier_registry.web.bodies import json_value
from pier_registry.web.gate import for_users, open_to_all
from pier_registry.web.responses import as_json


def register(room: Blueprint) -> None:
    room.get("/_ping", endpoint="ping")(ping)
    room.get("/v1/_ping", endpoint="v1_ping")(ping)
    room.get("/v1/users/")(login)
    room.post("/v1/users/")(sign_up)
    room.put("/v1/users/<name>/")(update)


@open_to_all
def ping() -> Response:
    """`Standalone` over https is what makes old clients send Basic credentials with every request."""
    return as_json({}, headers={"X-Docker-Registry-Standalone": "True"})


@for_users
def login() -> Response:
    return as_json("OK")


def sign_up() -> Response:
    """Users are made with `pier users add`. This exact answer sends docker 1.10 and older on to `login`."""
    json_value()
    return as_json("Username or email already exists", 400)


def update(name: str) -> Response:
    """Clients call it after a login with a changed address; there is nothing to keep."""
    return Response(status=204)
