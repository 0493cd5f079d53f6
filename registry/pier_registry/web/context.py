"""What a handler may reach: the registry, what is asked, and who is asking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from flask import Flask, Request, current_app, request

from pier_registry.actions.registry import Caller, Registry
from pier_registry.web import gate
from pier_registry.web.mode import Mode
from pier_registry.web.rights import Rights, User
from pier_registry.web.traffic import Counts
from pier_registry.web.users import Users


@dataclass(frozen=True, slots=True)
class Doors:
    """Wired once, in app.py. `direct`: no nginx in front, so bodies are sent by this process."""

    registry: Registry
    rights: Rights
    users: Users
    mode: Mode
    counts: Counts
    direct: bool

    def caller(self, user: User, address: str, agent: str) -> Caller:
        rights, mode = self.rights, self.mode
        return Caller(
            user=user.name,
            address=address,
            agent=agent,
            may=lambda verb, repository: (verb != "push" or not mode.read_only) and rights.may(user, verb, repository),
            everywhere=lambda verb: rights.everywhere(user, verb),
        )


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, and whose it is. What is made of one needs no Flask around it."""

    doors: Doors
    request: Request
    caller: Caller


def doors_of(app: Flask) -> Doors:
    return cast(Doors, app.extensions["pier"])


def doors() -> Doors:
    return doors_of(current_app)


def registry() -> Registry:
    return doors().registry


def caller() -> Caller:
    return doors().caller(gate.caller(), gate.client(), request.headers.get("User-Agent", ""))


def asked() -> Asked:
    return Asked(doors(), request, caller())
