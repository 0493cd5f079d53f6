"""Where the tests of counting run, and what they wait for there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import update

from pier_registry.metadata import migrate, schema
from pier_registry.metadata.session import Metadata
from tests.parts.registry import Running
from tests.registry.protocol.doors import opened

everywhere = pytest.mark.parametrize("door", ["nginx", "direct", "on_mariadb"], indirect=True)
on_both_databases = pytest.mark.parametrize("door", ["nginx", "on_mariadb"], indirect=True)
DATABASES: Final = ("sqlite", "mariadb")
_NUMBERS: Final = count(1)


def migrated(url: str) -> str:
    """The database with the schema in it."""
    metadata = Metadata(url)
    migrate.upgrade(metadata)
    metadata.close()
    return url


@contextmanager
def own(request: pytest.FixtureRequest, folder: Path, database: str, **settings: object) -> Iterator[Running]:
    """A registry behind nginx with settings of its own, on a database of its own."""
    if database == "mariadb":
        server = request.getfixturevalue("mariadb")
        settings["database_url"] = migrated(server.create_database(f"v2_own_{next(_NUMBERS)}"))
    with opened(folder, "nginx", **settings) as running:
        yield running


def removals_are_due(running: Running) -> None:
    """Files that could not be removed are tried again at the next turn, not half a minute later."""
    metadata = Metadata(running.environment.get("PIER_DATABASE_URL") or f"sqlite:///{running.data}/pier.sqlite3")
    metadata.write(lambda tx: tx.run(update(schema.outbox).values(not_before=tx.now)))
    metadata.close()


def until(happened: Callable[[], bool], what: str, within: float = 30.0) -> None:
    """Wait for it. Raises AssertionError with `what` did not happen."""
    deadline = time.monotonic() + within
    while not happened():
        assert time.monotonic() < deadline, f"it did not happen within {within:g} s: {what}"
        time.sleep(0.05)


def sound(running: Running) -> None:
    """The registry's own check finds every count right and every file in its place."""
    done = running.pier("fsck", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
