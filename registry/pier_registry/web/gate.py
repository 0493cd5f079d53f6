"""The gate before every route: nobody passes without credentials, except to what is marked open."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from flask import Flask, current_app, g, request

from pier_registry import errors
from pier_registry.settings import Settings
from pier_registry.web.auth import Authenticator, User, client_address
from pier_registry.web.rights import Rights, Verb

View = TypeVar("View", bound=Callable[..., Any])

_EXTENSION: Final = "pier.gate"
_OPEN: Final = "pier_open_to_all"


@dataclass(frozen=True, slots=True)
class Gate:
    authenticator: Authenticator
    rights: Rights
    settings: Settings


def install(app: Flask, authenticator: Authenticator, rights: Rights, settings: Settings) -> None:
    """From here on every request of the app is authenticated first; unknown addresses, too."""
    app.extensions[_EXTENSION] = Gate(authenticator, rights, settings)
    app.before_request(_authenticate)


def open_to_all(view: View) -> View:
    """Mark a view that answers without credentials. Put it below the route's decorator, next to the function."""
    setattr(view, _OPEN, True)
    return view


def caller() -> User:
    """Raises Unauthorized where nobody had to say who they are."""
    user = g.get("user")
    if not isinstance(user, User):
        raise errors.Unauthorized
    return user


def client() -> str:
    """The address the request comes from."""
    return client_address(request.environ, _gate().settings)


def may(verb: Verb, repository: str | None = None) -> bool:
    """Whether the caller may; `repository` by its full stored name, None for everywhere."""
    return _gate().rights.may(caller(), verb, repository)


def require(verb: Verb, repository: str | None = None) -> None:
    """Raises Denied."""
    _gate().rights.require(caller(), verb, repository)


def _authenticate() -> None:
    view = current_app.view_functions.get(request.endpoint or "")
    if not getattr(view, _OPEN, False):
        g.user = _gate().authenticator.authenticate(request.headers.get("Authorization"), client())


def _gate() -> Gate:
    gate = current_app.extensions[_EXTENSION]
    assert isinstance(gate, Gate)  # noqa: S101
    return gate
