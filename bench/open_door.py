"""The registry with its authentication taken out, for comparison only: `python -m bench.open_door`.

Everything else stays: the gate, the rights of the user who is named, routes, database and gunicorn's options.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from flask import Flask

from pier_registry import logs, serving
from pier_registry.app import create_app
from pier_registry.settings import Settings
from pier_registry.web.auth import Authenticator, User
from pier_registry.web.gate import Gate

USER: Final = "bench"
_GATE: Final = "pier.gate"


class Everybody(Authenticator):
    """Takes every request for one of `bench`, unread."""

    def __init__(self) -> None:
        self._bench = User(USER)

    def authenticate(self, authorization: str | None, client: str) -> User:
        return self._bench


def opened(app: Flask) -> Flask:
    gate = app.extensions[_GATE]
    assert isinstance(gate, Gate)
    app.extensions[_GATE] = replace(gate, authenticator=Everybody())
    return app


def main() -> None:
    logs.to_stderr()
    settings = Settings.load()
    serving.run(settings, lambda _: opened(create_app(settings)))


if __name__ == "__main__":
    main()
