"""Registries that both protocols are spoken to: behind nginx, on SQLite, MariaDB and MySQL."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, Final

import pytest

from pier_registry.actions import fsck
from pier_registry.actions.registry import Registry
from pier_registry.app import open_registry
from pier_registry.metadata import migrate
from pier_registry.metadata.session import Metadata
from pier_registry.settings import Settings
from tests.clients.v1 import ClientError
from tests.parts.database import DatabaseServer
from tests.parts.registry import Running
from tests.registry.bridge.both import AGENT, Both
from tests.registry.counting import planting
from tests.registry.counting.conftest import Place
from tests.registry.protocol.doors import opened
from tests.registry.v2.answers import connect
from tests.registry.v2.places import migrated
from tests.registry.v2.pushing import Repository

_NUMBERS: Final = count(1)
_SETTINGS: Final = {"workers": 2, "login_failures": 100_000, "max_sessions": 10_000}


@pytest.fixture(scope="session")
def on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with opened(tmp_path_factory.mktemp("bridge"), "nginx", **_SETTINGS) as running:
        yield running


def _on(server: DatabaseServer, folder: Path) -> Any:
    return opened(folder, "nginx", database_url=migrated(server.create_database("bridge")), **_SETTINGS)


@pytest.fixture(scope="session")
def on_mariadb(tmp_path_factory: pytest.TempPathFactory, mariadb: DatabaseServer) -> Iterator[Running]:
    with _on(mariadb, tmp_path_factory.mktemp("bridge")) as running:
        yield running


@pytest.fixture(scope="session")
def on_mysql(tmp_path_factory: pytest.TempPathFactory, mysql: DatabaseServer) -> Iterator[Running]:
    with _on(mysql, tmp_path_factory.mktemp("bridge")) as running:
        yield running


@pytest.fixture(params=["on_sqlite", "on_mariadb"])
def door(request: pytest.FixtureRequest) -> Running:
    running: Running = request.getfixturevalue(request.param)
    return running


@pytest.fixture
def name() -> str:
    """A repository that nobody used yet."""
    return f"bridge{next(_NUMBERS)}/app"


@pytest.fixture
def both(door: Running, name: str) -> Iterator[Both]:
    """As admin."""
    with connect(door) as new, door.client(headers={"User-Agent": AGENT}) as old:
        yield Both(door, name, Repository(new, name), old)


@pytest.fixture
def emptied(door: Running, both: Both) -> Iterator[None]:
    """After the test all is as it was before it, promises too, and the registry's own check finds no fault."""
    before, files = _stored(both), _files(door)
    yield
    assert _stored(both) == before
    assert _files(door) == files
    with own_view(door) as registry:
        assert fsck.run(registry, repair=False, digests=True).findings == []


@pytest.fixture(scope="session")
def mariadb_url(mariadb: DatabaseServer) -> str:
    return migrated(mariadb.create_database("bridge_inside"))


@pytest.fixture(params=["sqlite", "mariadb"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """An empty registry without a door."""
    data = tmp_path / "data"
    data.mkdir()
    url = f"sqlite:///{data}/pier.sqlite3" if request.param == "sqlite" else request.getfixturevalue("mariadb_url")
    metadata = Metadata(url)
    migrate.upgrade(metadata)
    metadata.write(planting.clear)
    metadata.close()
    made = Place(data, url)
    try:
        yield made
    finally:
        made.close()
        shutil.rmtree(data, ignore_errors=True)


@pytest.fixture
def absent(both: Both) -> Callable[..., None]:
    """Asserts that v1 shows nothing of a tag that v2 has, then deletes it."""

    def check(tag: str = "1") -> None:
        assert both.new.knows(tag)
        assert both.old_tags() == {}
        assert both.old.get(f"/v1/repositories/{both.name}/tags/{tag}").status_code == 404
        assert both.old.get(f"/v1/repositories/{both.name}/images").json() == []
        assert both.old.get("/v1/alltags", params={"q": both.name.partition("/")[0]}).json()["results"] == []
        with pytest.raises(ClientError):
            both.engine().pull(both.name, tag)
        both.new.delete(tag)

    return check


@contextmanager
def own_view(running: Running) -> Iterator[Registry]:
    """What a running registry works on, for the test to look into or to spoil."""
    url = running.environment.get("PIER_DATABASE_URL", "")
    registry = open_registry(Settings(data=running.data, database_url=url))
    try:
        yield registry
    finally:
        registry.metadata.close()


def _stored(both: Both) -> dict[str, int]:
    return {key: value for key, value in both.usage().items() if key != "freed_bytes"}


def _files(door: Running) -> set[str]:
    return {str(path) for area in ("layers", "uploads") for path in (door.data / area).rglob("*") if path.is_file()}
