from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from pier_registry.settings import Settings
from tests.registry.access.door import Door, line
from tests.registry.access.open_door import application


@pytest.fixture
def users_file(tmp_path: Path) -> Path:
    """Alice, whose password is wonderland, and bob, whose password is builder."""
    path = tmp_path / "users.htpasswd"
    path.write_text(line("alice", "wonderland") + line("bob", "builder"))
    return path


@pytest.fixture
def door(users_file: Path) -> Door:
    return Door(users_file)


@pytest.fixture
def open_data(tmp_path: Path) -> Path:
    (tmp_path / "users.htpasswd").write_text(line("alice", "wonderland"))
    return tmp_path


@pytest.fixture
def web(open_data: Path) -> Iterator[FlaskClient]:
    with application(Settings(data=open_data, anonymous_pull=True)).test_client() as client:
        yield client


@pytest.fixture
def closed(open_data: Path) -> Iterator[FlaskClient]:
    with application(Settings(data=open_data)).test_client() as client:
        yield client


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    before = threading.active_count()
    yield
    assert threading.active_count() == before
