"""What a handler may reach: the registry, and who is asking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from flask import current_app, request

from pier_registry.actions.registry import Caller, Registry
from pier_registry.web import gate
from pier_registry.web.mode import Mode
from pier_registry.web.rights import Rights
from pier_registry.web.users import Users


@dataclass(frozen=True, slots=True)
class Doors:
    """Wired once, in app.py. `direct`: no nginx in front, so bodies are sent by this process."""

    registry: Registry
    rights: Rights
    users: Users
    mode: Mode
    direct: bool


def doors() -> Doors:
    return cast(Doors, current_app.extensions["pier"])


def registry() -> Registry:
    return doors().registry


def caller() -> Caller:
    user = gate.caller()
    rights, read_only = doors().rights, doors().mode.read_only
    return Caller(
        user=user.name,
        address=gate.client(),
        agent=request.headers.get("User-Agent", ""),
        may=lambda verb, repository: (verb != "push" or not read_only) and rights.may(user, verb, repository),
        everywhere=lambda verb: rights.everywhere(user, verb),
    )
