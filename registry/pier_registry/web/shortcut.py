"""The short way of a pull: manifests and blobs are read without Flask, whose own work is several times theirs.

Only what is plain goes it: a GET or HEAD by somebody known, of a name as it is stored, that writes nothing. All else
goes Flask's way, and a refusal does, to be told where all of them are. Nothing is decided here: who asks is the gate's
to say, what they may the rights', and what they get the same functions' as behind Flask's routes.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from flask import Flask, Request, request
from werkzeug.datastructures import EnvironHeaders

from pier_registry.errors import PierError
from pier_registry.names import Digest, RepositoryName
from pier_registry.web import gate, responses, v2
from pier_registry.web.answers import Answer
from pier_registry.web.context import Asked, Doors, doors_of
from pier_registry.web.gate import Gate
from pier_registry.web.routing import KnownReferenceConverter
from pier_registry.web.v2 import blobs, manifests
from pier_registry.web.v2_clients import READING

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = logging.getLogger("pier.web")

_REFUSAL: Final = "pier.refusal"
# Without a query, and without anything that is written in more than one way.
_PLAIN: Final = re.compile(r"/v2/([a-z0-9._/-]+)/(manifests|blobs)/([A-Za-z0-9._:-]+)", re.ASCII)


def install(app: Flask) -> None:
    """In front of the app's routes, once it has those of v2 and everything that comes before them."""
    app.before_request(_refused)
    app.wsgi_app = Shortcut(app.wsgi_app, gate.of(app), doors_of(app))  # type: ignore[method-assign]


def _refused() -> None:
    """The question is not asked again: the database may have taken its time to give no answer."""
    if (refusal := request.environ.get(_REFUSAL)) is not None:
        raise refusal


class _Question(Request):
    """What a plain request is asked for, and no more: werkzeug takes as long for the rest as all else does here."""

    def __init__(self, environ: WSGIEnvironment) -> None:
        self.environ = environ
        self.method = environ["REQUEST_METHOD"]
        self.path = environ["PATH_INFO"]
        self.headers = _Fields(environ)


class _Fields(EnvironHeaders):
    """Without a search for how a header's name is spelt in the environment."""

    def get(self, key: str, default: Any = None, type: Any = None) -> Any:  # type: ignore[override]
        found = self.environ.get(_spelt(key))
        return default if found is None else found if type is None else super().get(key, default, type)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and _spelt(key) in self.environ


@lru_cache(maxsize=128)
def _spelt(name: str) -> str:
    key = name.upper().replace("-", "_")
    return key if key in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{key}"


class Shortcut:
    """A WSGI application in front of `way`, which is Flask's."""

    def __init__(self, way: WSGIApplication, gate: Gate, doors: Doors) -> None:
        self._way = way
        self._gate = gate
        self._doors = doors

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        answer = None
        try:
            answer = self._answer(_Question(environ))
        except PierError as refusal:
            environ[_REFUSAL] = refusal
        except Exception:  # nothing was written, and nothing sent
            log.exception("unforeseen on the short way")
        if answer is None:
            return self._way(environ, start_response)
        return answer.send(environ, start_response)

    def _answer(self, request: Request) -> Answer | None:
        """None for what goes Flask's way. Raises PierError for what the routes would refuse, but not the gate."""
        path = request.environ.get("RAW_URI", "")
        plain = _PLAIN.fullmatch(path) if request.method in READING and path == request.path else None
        client = self._gate.client(request)
        user = self._gate.knows(request, client) if plain else None
        if plain is None or user is None:
            return None
        name = RepositoryName.parse(plain[1])
        asked = Asked(self._doors, request, self._doors.caller(user, client, request.headers.get("User-Agent", "")))
        if request.method == "HEAD" and asked.caller.may("push", name.full):
            return None  # it is answered with a promise
        if plain[2] == "manifests":
            answer = manifests.read(asked, name, KnownReferenceConverter.parse(plain[3]))
        else:
            answer = blobs.read(asked, name, Digest.parse(plain[3]))
        return answer.with_headers(v2.NAMED | responses.for_the_log(user))
