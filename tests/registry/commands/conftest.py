"""A registry whose data folder the commands work on while it serves."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Final

import httpx
import pytest

from tests.parts.registry import Running
from tests.registry.protocol.doors import opened
from tests.registry.protocol.pushing import AGENT

_NUMBERS: Final = count(1)


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with opened(tmp_path_factory.mktemp("pier"), "direct") as running:
        yield running


@pytest.fixture(scope="session")
def admin(served: Running) -> httpx.Client:
    return served.client(headers={"User-Agent": AGENT})


@pytest.fixture
def name() -> str:
    return f"command{next(_NUMBERS)}/app"
