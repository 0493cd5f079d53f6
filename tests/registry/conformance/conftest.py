"""One registry for each database, with a user who may push, and folders that keep what the suites report."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.parts.database import DatabaseServer
from tests.parts.registry import Running, registry
from tests.registry.conformance.suites import Target

_KEPT: Final = Path(__file__).parents[3] / "build" / "conformance"


@pytest.fixture(scope="module", params=["sqlite", "mariadb"])
def database(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@pytest.fixture(scope="module")
def server(
    database: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """Behind nginx, with TLS."""
    settings = {}
    if database == "mariadb":
        mariadb: DatabaseServer = request.getfixturevalue("mariadb")
        settings["database_url"] = mariadb.create_database("conformance")
    with registry(tmp_path_factory.mktemp(database) / "data", **settings) as running:
        yield running


@pytest.fixture(scope="module")
def target(server: Running) -> Target:
    return Target(server.host, server.ca, "suite", server.add_user("suite"))


@pytest.fixture
def reports(database: str) -> Callable[[str], Path]:
    """A suite's folder, emptied: build/conformance/<suite>-<database>."""

    def folder(suite: str) -> Path:
        place = _KEPT / f"{suite}-{database}"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        return place

    return folder
