"""The parts as fixtures, each started once for all tests of a run. A missing one fails the test that asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts import docker_engine as engines
from tests.parts import images
from tests.parts import mariadb as mariadb_servers
from tests.parts import mysql as mysql_servers
from tests.parts.database import DatabaseServer
from tests.parts.docker_engine import DockerEngine


@pytest.fixture(scope="session")
def mariadb() -> Iterator[DatabaseServer]:
    """Shared: take a database of your own with `create_database`; to kill it, start your own with `running`."""
    with mariadb_servers.running() as server:
        yield server


@pytest.fixture(scope="session")
def mysql() -> Iterator[DatabaseServer]:
    """Shared: take a database of your own with `create_database`; to kill it, start your own with `running`."""
    with mysql_servers.running() as server:
        yield server


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[DockerEngine]:
    """Shared, without networks: remove the images and containers that you made."""
    with engines.running() as engine:
        yield engine


@pytest.fixture(scope="session")
def saved_images() -> dict[str, Path]:
    return images.saved_images()
