"""The gate before every route: nobody passes without credentials, except to what is marked open.

With anonymous pull a stranger passes, too, who then may read and nothing else. Over v2 a stranger has to say so at
the ping, where clients learn how to log in, and at a HEAD, whose answer is a promise to whoever pushes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeVar

from flask import Flask, current_app, g, request

from pier_registry import engines, errors
from pier_registry.names import RepositoryName
from pier_registry.settings import Settings
from pier_registry.web import address
from pier_registry.web.auth import Authenticator, User, bearer, client_address
from pier_registry.web.rights import ANONYMOUS, Rights, Verb
from pier_registry.web.tokens import Token

View = TypeVar("View", bound=Callable[..., Any])
Mark = Literal["closed", "open", "users", "logins"]

TOKEN_PATH: Final = "/v2/token"
_EXTENSION: Final = "pier.gate"
_MARK: Final = "pier_gate"
_READING: Final = frozenset({"GET", "HEAD"})
_V2: Final = re.compile(r"/v2(?:/|$)")
_PING: Final = frozenset({"/v2", "/v2/"})
_BLOB: Final = re.compile(r"/blobs/[^/]+$")
_OLD_ENGINE: Final = re.compile(engines.V1_ONLY, re.ASCII)
_ON_CONTAINERD: Final = re.compile(engines.ON_CONTAINERD, re.ASCII)


@dataclass(frozen=True, slots=True)
class Gate:
    authenticator: Authenticator
    rights: Rights
    settings: Settings


def install(app: Flask, authenticator: Authenticator, rights: Rights, settings: Settings) -> None:
    """From here on every request of the app is authenticated first; unknown addresses, too."""
    app.extensions[_EXTENSION] = Gate(authenticator, rights, settings)
    app.before_request(_turn_old_engines_away)
    app.before_request(_authenticate)


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
    """The address the request comes from."""
    return client_address(request.environ, _gate().settings)


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


def from_old_engine() -> bool:
    """Whether the request is one of v2 by an engine that must stay on v1."""
    return _is_v2() and bool(_OLD_ENGINE.search(request.headers.get("User-Agent", "")))


def is_login() -> bool:
    """Whether the request asks for a token, which changes nothing whatever its method."""
    return _mark() == "logins"


def told(refusal: errors.PierError) -> errors.PierError:
    """The refusal as this caller should hear it.

    A stranger who lacks a right is asked to log in, so that `docker push` sends what `docker login` kept.
    """
    if isinstance(refusal, errors.Denied) and g.get("user") == ANONYMOUS:
        refusal = errors.Unauthorized()
    if isinstance(refusal, errors.Unauthorized) and _takes_tokens():
        try:
            return errors.Unauthorized(_challenge())
        except errors.Invalid as wrong:
            return wrong
    return refusal


def _turn_old_engines_away() -> None:
    if from_old_engine():
        raise errors.RouteUnknown("this engine pushes and pulls over v1")


def _authenticate() -> None:
    mark = _mark()
    gate = _gate()
    if mark == "open" or (is_login() and gate.authenticator.lets_anybody_pull):
        return
    said = request.headers.get("Authorization")
    user = gate.authenticator.authenticate(said, client())
    if user.anonymous and (mark == "users" or _asks_who(said)):
        raise errors.Unauthorized
    g.user = user


def _asks_who(said: str | None) -> bool:
    """Whether a stranger must log in for this, or must at least say that there is nobody to log in."""
    if request.method not in _READING:
        return True
    if said or not _is_v2():
        return False
    if request.method == "HEAD" and _gets_no_tokens():  # they ask for a blob only where they push
        return _BLOB.search(request.path) is not None
    return request.method == "HEAD" or request.path in _PING


def _takes_tokens() -> bool:
    """Whether the client is to get a token rather than to send a password."""
    return _gate().authenticator.lets_anybody_pull and _is_v2() and not is_login() and not _gets_no_tokens()


def _gets_no_tokens() -> bool:
    """Who has pinged, or has a token already, can get one."""
    by_token = bearer(request.headers.get("Authorization"))
    agent = request.headers.get("User-Agent", "")
    return request.path not in _PING and not by_token and _ON_CONTAINERD.match(agent) is not None


def _is_v2() -> bool:
    return _V2.match(request.path) is not None


def _challenge() -> str:
    """Where a token is to be had (distribution's token authentication), and for what, where that is known.

    There is no other challenge beside it: engines would get a token, and then send their password instead.
    """
    settings = _gate().settings
    service = address.host(settings)
    challenge = f'Bearer realm="{address.url(settings)}{TOKEN_PATH}",service="{service}"'
    names = [each for each in (request.view_args or {}).values() if isinstance(each, RepositoryName)]
    actions = "pull" if request.method in _READING else "pull,push"
    return challenge + "".join(f',scope="repository:{name.spelt}:{actions}"' for name in names)


def _marked(view: View, mark: Mark) -> View:
    setattr(view, _MARK, mark)
    return view


def _mark() -> Mark:
    view = current_app.view_functions.get(request.endpoint or "")
    mark: Mark = getattr(view, _MARK, "closed")
    return mark


def _gate() -> Gate:
    gate = current_app.extensions[_EXTENSION]
    assert isinstance(gate, Gate)  # noqa: S101
    return gate
