"""The gate before every route: nobody passes without credentials, except to what is marked open.

With anonymous pull a stranger passes, too, who then may read and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeVar

from flask import Flask, Request, current_app, g, request

from pier_registry import errors
from pier_registry.settings import Settings
from pier_registry.web import v2_clients
from pier_registry.web.auth import Authenticator, User, client_address
from pier_registry.web.rights import ANONYMOUS, Rights, Verb
from pier_registry.web.tokens import Token

View = TypeVar("View", bound=Callable[..., Any])
Mark = Literal["closed", "open", "users", "logins"]

_EXTENSION: Final = "pier.gate"
_MARK: Final = "pier_gate"


@dataclass(frozen=True, slots=True)
class Gate:
    authenticator: Authenticator
    rights: Rights
    settings: Settings

    def client(self, request: Request) -> str:
        """The address the request comes from."""
        return client_address(request.environ, self.settings)

    def knows(self, request: Request, client: str) -> User | None:
        """Who asks to read this, where no password has to be tried for it; None where one has, or nobody may.

        Whoever this lets through, `_keep_to_v1` and `_authenticate` do, too.
        """
        if v2_clients.stays_on_v1(request):
            return None
        try:
            user = self.authenticator.remembered(request.headers.get("Authorization"), client)
        except errors.Unauthorized:
            return None
        return None if user is None or (user.anonymous and v2_clients.must_say_something(request)) else user


def install(app: Flask, authenticator: Authenticator, rights: Rights, settings: Settings) -> None:
    """From here on every request of the app is authenticated first; unknown addresses, too."""
    app.extensions[_EXTENSION] = Gate(authenticator, rights, settings)
    app.before_request(_keep_to_v1)
    app.before_request(_authenticate)


def of(app: Flask) -> Gate:
    gate = app.extensions[_EXTENSION]
    assert isinstance(gate, Gate)  # noqa: S101
    return gate


def open_to_all(view: View) -> View:
    """Mark a view that answers without credentials. Put it below the route's decorator, next to the function."""
    return _marked(view, "open")


def for_users(view: View) -> View:
    """Mark a view that is about somebody's account, so that nobody may call it anonymously."""
    return _marked(view, "users")


def takes_logins(view: View) -> View:
    """Mark a view that judges credentials itself, by `token_for`; closed like any other without anonymous pull."""
    return _marked(view, "logins")


def caller() -> User:
    """Raises Unauthorized where nobody had to say who they are."""
    user = g.get("user")
    if not isinstance(user, User):
        raise errors.Unauthorized
    return user


def client() -> str:
    """As Gate.client."""
    if "client" not in g:
        g.client = _gate().client(request)
    return str(g.client)


def may(verb: Verb, repository: str | None = None) -> bool:
    """Whether the caller may; `repository` by its full stored name, None for everywhere."""
    return _gate().rights.may(caller(), verb, repository)


def require(verb: Verb, repository: str | None = None) -> None:
    """Raises Denied."""
    _gate().rights.require(caller(), verb, repository)


def token_for(user: str, password: str) -> Token:
    """Both empty: an anonymous one. Raises Unauthorized, TooManyRequests, RouteUnknown without anonymous pull."""
    token = _gate().authenticator.token(user, password, client())
    g.user = User(user) if user else ANONYMOUS
    return token


def is_login() -> bool:
    """Whether the request asks for a token, which changes nothing whatever its method."""
    return _mark() == "logins"


def told(refusal: errors.PierError) -> errors.PierError:
    """The refusal as this caller should hear it.

    A stranger who lacks a right is asked to log in, so that `docker push` sends what `docker login` kept.
    """
    if isinstance(refusal, errors.Denied) and g.get("user") == ANONYMOUS:
        refusal = errors.Unauthorized()
    if isinstance(refusal, errors.Unauthorized) and _lets_anybody_pull() and _takes_a_token():
        try:
            return errors.Unauthorized(v2_clients.challenge(request, _gate().settings))
        except errors.Invalid as wrong:
            return wrong
    return refusal


def _keep_to_v1() -> None:
    if v2_clients.stays_on_v1(request):
        raise errors.RouteUnknown("this engine pushes and pulls over v1")


def _authenticate() -> None:
    if _mark() == "open" or (is_login() and _lets_anybody_pull()):
        return
    user = _gate().authenticator.authenticate(request.headers.get("Authorization"), client())
    if user.anonymous and _takes_a_name():
        raise errors.Unauthorized
    g.user = user


def _takes_a_name() -> bool:
    """Whether a stranger has to log in for this, or has not said to be one where that must be said."""
    return request.method not in v2_clients.READING or _mark() == "users" or v2_clients.must_say_something(request)


def _takes_a_token() -> bool:
    """Where tokens are made it takes a password, of course."""
    return v2_clients.asked(request) and not is_login() and not v2_clients.takes_passwords(request)


def _lets_anybody_pull() -> bool:
    return _gate().authenticator.lets_anybody_pull


def _marked(view: View, mark: Mark) -> View:
    setattr(view, _MARK, mark)
    return view


def _mark() -> Mark:
    view = current_app.view_functions.get(request.endpoint or "")
    mark: Mark = getattr(view, _MARK, "closed")
    return mark


def _gate() -> Gate:
    return of(current_app)
