from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.registry.frontdoor.door import Door, opened


@pytest.fixture(scope="session")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """One front door for all tests that leave it as it was."""
    with opened(tmp_path_factory.mktemp("door")) as running:
        yield running


@pytest.fixture
def own_door(tmp_path: Path) -> Iterator[Door]:
    """A front door for a test that changes or stops it."""
    with opened(tmp_path) as running:
        yield running
