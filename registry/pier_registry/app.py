"""The one place where the rooms are wired together."""

from __future__ import annotations

import atexit
import re

from flask import Flask, Response, g, request

from pier_registry import errors
from pier_registry.actions.reclaim import Reclaimer
from pier_registry.actions.registry import Registry
from pier_registry.actions.turns import Turns
from pier_registry.metadata.session import Metadata
from pier_registry.settings import Settings
from pier_registry.storage.filesystem import FileSystem
from pier_registry.web import api, gate, health, responses, routing, shortcut, tokens, v1, v2
from pier_registry.web.auth import Authenticator
from pier_registry.web.context import Doors, doors
from pier_registry.web.mode import Mode
from pier_registry.web.rights import Rights
from pier_registry.web.throttle import Throttle
from pier_registry.web.traffic import Counts, Traffic
from pier_registry.web.users import Users
from pier_registry.web.verdicts import Verdicts

_ORIGIN = re.compile("^https?://[^/]+")
_CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})


def open_registry(settings: Settings) -> Registry:
    """Metadata and storage, opened. Raises Misconfigured."""
    storage = FileSystem(settings.data, max_layer=settings.max_layer, max_inflated=settings.max_inflated)
    # A quarter of the threads never waits for a body, and nobody holds all of the rest.
    turns = Turns(most=max(1, settings.threads * 3 // 4), each=max(1, settings.threads * 5 // 8))
    return Registry(settings, Metadata(settings.database, storage.release_ballast), storage, turns)


def create_app(settings: Settings | None = None, *, direct: bool = False, counts: Counts | None = None) -> Flask:
    """The WSGI application. `direct`: without nginx in front, so it sends bodies itself and has no private routes.

    `counts` are those of all workers together.
    """
    settings = settings or Settings.load()
    counts = counts or Counts()
    app, registry = _wire(settings, counts, direct)
    app.register_blueprint(api.blueprint())
    app.register_blueprint(v2.blueprint())
    if settings.v1 != "off":
        app.register_blueprint(v1.blueprint())
    if not direct:
        app.register_blueprint(health.blueprint(private_only=True))
    _install_refusals(app, settings)
    shortcut.install(app)
    app.wsgi_app = Traffic(app.wsgi_app, counts)  # type: ignore[method-assign]
    reclaimer = Reclaimer(registry)
    reclaimer.start()
    atexit.register(reclaimer.stop)
    return app


def create_health_app(settings: Settings, counts: Counts) -> Flask:
    """Only /healthz, /readyz and /metrics, for the private port of a registry without nginx."""
    app, _ = _wire(settings, counts, direct=True)
    app.register_blueprint(health.blueprint(private_only=False))
    return app


def _wire(settings: Settings, counts: Counts, direct: bool) -> tuple[Flask, Registry]:
    app = Flask("pier", static_folder=None)
    registry = open_registry(settings)
    users = Users(settings.users_file)
    rights = Rights(settings.rights_file, settings.default_role)
    authenticator = Authenticator(users, Throttle(settings.login_failures), Verdicts(), tokens.of(settings))
    app.extensions["pier"] = Doors(registry, rights, users, Mode(settings), counts, direct)
    routing.install(app)
    responses.install(app)
    gate.install(app, authenticator, rights, settings)
    app.after_request(_told_to_the_log)
    return app, registry


def _install_refusals(app: Flask, settings: Settings) -> None:
    """What closes whole kinds of requests, judged once for every route, after the gate."""

    @app.before_request
    def ambiguous() -> None:
        """As nginx has it: two slashes, or a fragment, could be read as another address."""
        raw = str(request.environ.get("RAW_URI", ""))
        if "#" in raw or "//" in _ORIGIN.sub("", raw.partition("?")[0]):
            raise errors.RouteUnknown

    @app.before_request
    def closed() -> None:
        if request.method not in _CHANGING or gate.is_login():
            return
        if doors().mode.read_only:
            raise errors.Unsupported("this registry is read-only now: try again later")
        if settings.v1 == "pull" and request.path.startswith("/v1/"):
            raise errors.Unsupported("this registry takes no pushes over v1 (PIER_V1 is pull)")


def _told_to_the_log(response: Response) -> Response:
    user = g.get("user")
    if user is not None:
        response.headers.update(responses.for_the_log(user))
    return response
