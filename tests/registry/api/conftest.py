"""A registry with a few images, asked over the JSON API."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Final

import httpx
import pytest

from tests.parts.registry import Running
from tests.registry.protocol.doors import DOORS, opened
from tests.registry.protocol.pushing import AGENT

_NUMBERS: Final = count(1)


@pytest.fixture(scope="session", params=DOORS)
def door(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with opened(tmp_path_factory.mktemp("pier"), request.param) as running:
        yield running


@pytest.fixture(scope="session")
def admin(door: Running) -> httpx.Client:
    return door.client(headers={"User-Agent": AGENT})


@pytest.fixture
def name() -> str:
    return f"api{next(_NUMBERS)}/app"
