"""Registries for the v2 tests: behind nginx, on its own, and behind nginx with MariaDB below it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tests.parts.database import DatabaseServer
from tests.parts.registry import Running
from tests.registry.protocol.doors import DOORS, opened
from tests.registry.v2.answers import connect
from tests.registry.v2.places import migrated
from tests.registry.v2.pushing import Repository

_NUMBERS: Final = count(1)
# Two processes, so that what one of them answers must hold in the other; wrong passwords are part of the tests.
_SETTINGS: Final = {"workers": 2, "login_failures": 100_000, "max_sessions": 10_000}
# Files that come and go while a registry serves and users are added.
_MOVING: Final = ("pier.sqlite3", "rights.yaml", "users.htpasswd", "token-key")


@pytest.fixture(scope="session")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with opened(tmp_path_factory.mktemp("pier"), "nginx", **_SETTINGS) as running:
        yield running


@pytest.fixture(scope="session")
def direct(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with opened(tmp_path_factory.mktemp("pier"), "direct", **_SETTINGS) as running:
        yield running


@pytest.fixture(scope="session")
def on_mariadb(tmp_path_factory: pytest.TempPathFactory, mariadb: DatabaseServer) -> Iterator[Running]:
    url = migrated(mariadb.create_database("v2"))
    with opened(tmp_path_factory.mktemp("pier"), "nginx", database_url=url, **_SETTINGS) as running:
        yield running


@pytest.fixture(params=DOORS)
def door(request: pytest.FixtureRequest) -> Running:
    """Other ones for a module with `places.on_both_databases`."""
    running: Running = request.getfixturevalue(request.param)
    return running


@pytest.fixture
def name() -> str:
    """A repository that nobody used yet."""
    return f"team{next(_NUMBERS)}/app"


@pytest.fixture
def admin(door: Running) -> Iterator[httpx.Client]:
    with connect(door) as client:
        yield client


@pytest.fixture
def repository(admin: httpx.Client, name: str) -> Repository:
    return Repository(admin, name)


@pytest.fixture
def elsewhere(admin: httpx.Client, name: str) -> Repository:
    """Another repository, for the same client."""
    return Repository(admin, f"elsewhere-{name}")


@pytest.fixture
def newcomer() -> str:
    """A user name that nobody has."""
    return f"user{next(_NUMBERS)}"


@pytest.fixture
def state(door: Running, admin: httpx.Client) -> Callable[[], str]:
    """Everything that a request could have changed, as text to compare."""

    def look() -> str:
        told: dict[str, Any] = {path: admin.get(path).json() for path in ("/api/usage", "/api/repositories?n=1000")}
        told["files"] = sorted(str(path) for area in ("layers", "uploads") for path in _files(door.data / area))
        told["around"] = sorted(path.name for path in door.data.iterdir() if not path.name.startswith(_MOVING))
        return json.dumps(told, sort_keys=True)

    return look


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.fixture
def unchanged(state: Callable[[], str]) -> Iterator[None]:
    """After the test everything must be as it was before, what fixtures pushed included."""
    before = state()
    yield
    assert state() == before
