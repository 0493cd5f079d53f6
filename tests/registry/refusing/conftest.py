"""Registries that are asked wrongly, behind nginx and without it; and the proof that nothing came of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any, Final

import httpx
import pytest
from flask import Flask

from tests.clients.v1_model import Layer
from tests.parts.registry import Running
from tests.registry.protocol import routes
from tests.registry.protocol.doors import DOORS, opened
from tests.registry.protocol.pushing import AGENT, pushed

_NUMBERS: Final = count(1)
KEPT: Final = "kept/app"
# Files that come and go while a registry serves and users are added.
_MOVING: Final = ("pier.sqlite3", "rights.yaml", "users.htpasswd")


@pytest.fixture(scope="session", params=DOORS)
def door(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Wrong passwords are what these tests are made of, so they are not counted."""
    with opened(tmp_path_factory.mktemp("pier"), request.param, login_failures=100_000) as running:
        yield running


@pytest.fixture(scope="session")
def admin(door: Running) -> httpx.Client:
    return door.client(headers={"User-Agent": AGENT})


@pytest.fixture
def name() -> str:
    return f"refused{next(_NUMBERS)}/app"


@pytest.fixture(scope="session")
def kept(admin: httpx.Client) -> Layer:
    """The image under kept/app:1, which no refused request may change."""
    return pushed(admin, KEPT, "1", size=4000)[0]


@pytest.fixture(scope="session")
def state(door: Running, admin: httpx.Client, kept: Layer) -> Callable[[], str]:
    """Everything that a request could have changed, as text to compare."""

    def look() -> str:
        told: dict[str, Any] = {path: admin.get(path).json() for path in ("/api/usage", "/api/repositories")}
        told["tags"] = admin.get(f"/v1/repositories/{KEPT}/tags").json()
        told["files"] = sorted(str(path) for area in ("layers", "uploads") for path in (door.data / area).rglob("*"))
        told["around"] = sorted(path.name for path in door.data.iterdir() if not path.name.startswith(_MOVING))
        return json.dumps(told, sort_keys=True)

    return look


@pytest.fixture
def unchanged(state: Callable[[], str]) -> Iterator[None]:
    """After the test everything must be as it was."""
    before = state()
    yield
    assert state() == before


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    return routes.wired(tmp_path_factory.mktemp("app"))
