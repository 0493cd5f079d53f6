"""What a registry tells of itself while its database is away: that it is, and everything that does not need it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts import mariadb
from tests.parts.database import DatabaseServer
from tests.parts.registry import Running, registry


@pytest.fixture
def database() -> Iterator[DatabaseServer]:
    """One that can be killed."""
    with mariadb.running() as server:
        yield server


def _told(running: Running) -> dict[str, str]:
    """Values by name and labels."""
    answer = running.private("/metrics")
    assert answer.status_code == 200
    lines = [line for line in answer.text.splitlines() if not line.startswith("#")]
    return dict(line.rsplit(" ", 1) for line in lines)


def test_a_database_that_is_away_is_told_and_so_is_all_else(database: DatabaseServer, tmp_path: Path) -> None:
    with registry(tmp_path / "data", database_url=database.create_database("told")) as running:
        well = _told(running)
        assert well["pier_database_up"] == "1.0"
        assert well["pier_tags"] == "0.0"
        database.kill()
        away = _told(running)
        assert away["pier_database_up"] == "0.0"
        of_rows = set(well) - set(away)
        assert {"pier_tags", "pier_layers_bytes", "pier_freed_bytes_total", "pier_pending_bytes"} <= of_rows
        assert {"pier_storage_free_bytes", "pier_read_only", "pier_users_stale"} <= set(away)
        assert [name for name in away if name.startswith("pier_users_info")]
        database.start()
        again = _told(running)
        assert again["pier_database_up"] == "1.0"
        assert set(again) == set(well)
