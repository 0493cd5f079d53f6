"""Registries without a door: actions on a real database and a real folder. Most tests run on SQLite and MariaDB."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Final

import pytest

from pier_registry.actions.registry import Registry
from pier_registry.app import open_registry
from pier_registry.metadata import migrate
from pier_registry.metadata.session import Metadata
from pier_registry.settings import Settings
from tests.parts.database import DatabaseServer
from tests.registry.counting import planting
from tests.registry.counting.pushing import Client

DATABASES: Final = ("sqlite", "mariadb")
_NUMBERS: Final = count(1)


@dataclass(slots=True)
class Place:
    """A data folder and a database with the schema in it; each `open` is another process's view of them."""

    data: Path
    url: str
    opened: list[Registry] = field(default_factory=list)

    def open(self, **settings: Any) -> Registry:
        registry = open_registry(Settings(data=self.data, database_url=self.url, **settings))
        self.opened.append(registry)
        return registry

    def close(self) -> None:
        for registry in self.opened:
            registry.metadata.close()


@pytest.fixture(scope="session")
def sqlite_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database with the schema, to be copied."""
    path = tmp_path_factory.mktemp("schema") / "pier.sqlite3"
    _migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def mariadb_url(mariadb: DatabaseServer) -> str:
    return _migrate(mariadb.create_database("counting"))


@pytest.fixture(scope="session")
def mysql_url(mysql: DatabaseServer) -> str:
    return _migrate(mysql.create_database("counting"))


def _migrate(url: str) -> str:
    metadata = Metadata(url)
    migrate.upgrade(metadata)
    metadata.close()
    return url


def _sqlite(request: pytest.FixtureRequest, data: Path) -> str:
    data.mkdir(parents=True)
    shutil.copy(request.getfixturevalue("sqlite_file"), data / "pier.sqlite3")
    return ""


def _emptied(url: str) -> str:
    """The shared database, without the rows of the test before."""
    metadata = Metadata(url)
    metadata.write(planting.clear)
    metadata.close()
    return url


def _mariadb(request: pytest.FixtureRequest, _data: Path) -> str:
    return _emptied(request.getfixturevalue("mariadb_url"))


def _mysql(request: pytest.FixtureRequest, _data: Path) -> str:
    return _emptied(request.getfixturevalue("mysql_url"))


_MAKERS: Final[dict[str, Callable[[pytest.FixtureRequest, Path], str]]] = {
    "sqlite": _sqlite,
    "mariadb": _mariadb,
    "mysql": _mysql,
}


@pytest.fixture(params=DATABASES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """Gone after the test, also the 16 MiB that every data folder reserves."""
    data = tmp_path / "data"
    made = Place(data, _MAKERS[request.param](request, data))
    try:
        yield made
    finally:
        made.close()
        shutil.rmtree(data, ignore_errors=True)


@pytest.fixture
def registry(place: Place) -> Registry:
    return place.open()


@pytest.fixture
def alice(registry: Registry) -> Client:
    return Client(registry)


@pytest.fixture
def bob(registry: Registry) -> Client:
    return Client(registry, "bob")
