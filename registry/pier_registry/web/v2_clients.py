"""How clients of v2 learn to log in where strangers may pull, each in the way that it can follow.

Most ping first, are told there where tokens are, and go on with one: of a user, or of nobody. Those on containerd's
library do not ping and may be unable to get a token, so they read without one, and log in with their password.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from flask import Request

from pier_registry import engines
from pier_registry.names import RepositoryName
from pier_registry.settings import Settings
from pier_registry.web import address
from pier_registry.web.auth import bearer

TOKEN_PATH: Final = "/v2/token"  # noqa: S105  an address
READING: Final = frozenset({"GET", "HEAD"})
_PING: Final = frozenset({"/v2", "/v2/"})
_V2: Final = re.compile(r"/v2(?:/|$)")
_BLOB: Final = re.compile(r"/blobs/[^/]+$")
_OLD: Final = re.compile(engines.V1_ONLY, re.ASCII)
_ON_CONTAINERD: Final = re.compile(engines.ON_CONTAINERD, re.ASCII)


def asked(request: Request) -> bool:
    """Whether the request is one of v2."""
    return _V2.match(request.path) is not None


def stays_on_v1(request: Request) -> bool:
    """Whether it is one by an engine that has to stay on v1."""
    return asked(request) and _is_old(_agent(request))


def must_say_something(request: Request) -> bool:
    """Whether a client that sent no credentials has to say, if only that it has none, before this is answered.

    A HEAD is answered with a promise to whoever pushes, so a pusher must not ask as nobody.
    """
    if not asked(request) or request.method not in READING or request.headers.get("Authorization"):
        return False
    if request.method == "HEAD":
        return not takes_passwords(request) or _BLOB.search(request.path) is not None  # they ask for blobs to push them
    return request.path in _PING


def takes_passwords(request: Request) -> bool:
    """Whether a challenge must be for a password: the client cannot get tokens, and has neither pinged nor a token."""
    has_token = bearer(request.headers.get("Authorization"))
    return request.path not in _PING and not has_token and _ON_CONTAINERD.match(_agent(request)) is not None


def challenge(request: Request, settings: Settings) -> str:
    """Where a token is to be had (distribution's token authentication), and for what, where that is known.

    There is no other challenge beside it: engines would get a token, and then send their password instead.
    Raises Invalid for a Host header that is none.
    """
    told = f'Bearer realm="{address.url(settings)}{TOKEN_PATH}",service="{address.host(settings)}"'
    names = [each for each in (request.view_args or {}).values() if isinstance(each, RepositoryName)]
    actions = "pull" if request.method in READING else "pull,push"
    return told + "".join(f',scope="repository:{name.spelt}:{actions}"' for name in names)


@lru_cache(maxsize=256)
def _is_old(agent: str) -> bool:
    return _OLD.search(agent) is not None


def _agent(request: Request) -> str:
    return request.headers.get("User-Agent", "")
