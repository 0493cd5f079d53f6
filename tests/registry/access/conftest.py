from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.registry.access.door import Door, line


@pytest.fixture
def users_file(tmp_path: Path) -> Path:
    """Alice, whose password is wonderland, and bob, whose password is builder."""
    path = tmp_path / "users.htpasswd"
    path.write_text(line("alice", "wonderland") + line("bob", "builder"))
    return path


@pytest.fixture
def door(users_file: Path) -> Door:
    return Door(users_file)


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    before = threading.active_count()
    yield
    assert threading.active_count() == before
