"""A glance at SQLite sees what was committed before it, and holds nothing when it is over."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import bindparam, select

from pier_registry import errors
from pier_registry.metadata import migrate, repositories
from pier_registry.metadata.schema import repository
from pier_registry.metadata.session import Metadata
from pier_registry.names import RepositoryName

_NAMED: Final = select(repository.c.name, repository.c.id).where(repository.c.name == bindparam("name"))
_ALL: Final = select(repository.c.name)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "pier.sqlite3"


@pytest.fixture
def metadata(path: Path) -> Iterator[Metadata]:
    opened = Metadata(f"sqlite:///{path}")
    migrate.upgrade(opened)
    yield opened
    opened.close()


def make(metadata: Metadata, name: str) -> None:
    metadata.write(lambda tx: repositories.find_or_create(tx, RepositoryName.parse(name)))


def seen(metadata: Metadata, name: str) -> Any:
    return metadata.glance(_NAMED, {"name": name})


def test_it_sees_each_change_at_once(metadata: Metadata) -> None:
    for number in range(5):
        name = f"team/app{number}"
        assert seen(metadata, name) is None
        make(metadata, name)
        assert seen(metadata, name)[0] == name


def test_it_leaves_no_snapshot_open(metadata: Metadata, path: Path) -> None:
    """One of several rows is asked for; a statement that is not read to its end would keep the log from being reset."""
    for number in range(3):
        make(metadata, f"team/app{number}")
    assert metadata.glance(_ALL, {}) is not None
    make(metadata, "team/later")
    with sqlite3.connect(path) as other:
        busy, logged, copied = other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    other.close()
    assert (busy, logged, copied) == (0, 0, 0)


def test_many_threads_glance_at_once(metadata: Metadata) -> None:
    names = [f"team/app{number}" for number in range(8)]
    for name in names:
        make(metadata, name)
    wrong: list[str] = []

    def look(name: str) -> None:
        wrong.extend(name for _ in range(200) if seen(metadata, name)[0] != name)

    threads = [threading.Thread(target=look, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_database_that_cannot_be_read_is_unavailable(metadata: Metadata, path: Path) -> None:
    seen(metadata, "team/app")
    metadata.close()
    path.write_bytes(b"this is no database" * 1000)
    with pytest.raises(errors.Unavailable):
        seen(metadata, "team/app")
