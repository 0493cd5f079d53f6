"""Registries for the v1 tests: every test of `door` runs behind nginx and without it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Final

import httpx
import pytest
from flask import Flask

from tests.parts.registry import Running
from tests.registry.protocol import routes
from tests.registry.protocol.doors import DOORS, opened
from tests.registry.protocol.pushing import AGENT

_NUMBERS: Final = count(1)


@pytest.fixture(scope="session", params=DOORS)
def door(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with opened(tmp_path_factory.mktemp("pier"), request.param) as running:
        yield running


@pytest.fixture(scope="session")
def admin(door: Running) -> httpx.Client:
    """Logged in, with the agent of an old docker."""
    return door.client(headers={"User-Agent": AGENT})


@pytest.fixture
def name() -> str:
    """A repository that nobody used yet."""
    return f"team{next(_NUMBERS)}/app"


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    return routes.wired(tmp_path_factory.mktemp("app"))
