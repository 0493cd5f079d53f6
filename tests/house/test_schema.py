"""The migrations make exactly the tables of metadata/schema.py."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, create_engine, inspect, text

from pier_registry.metadata import migrate, schema
from pier_registry.metadata.session import Metadata


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    metadata = Metadata(f"sqlite:///{tmp_path_factory.mktemp('schema') / 'migrated.sqlite3'}")
    migrate.upgrade(metadata)
    yield metadata.engine
    metadata.close()


@pytest.fixture(scope="module")
def created(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = create_engine(f"sqlite:///{tmp_path_factory.mktemp('schema') / 'created.sqlite3'}")
    schema.metadata.create_all(engine)
    yield engine
    engine.dispose()


def test_nothing_is_left_to_migrate(migrated: Engine) -> None:
    with migrated.connect() as connection:
        options = {"compare_type": True, "compare_server_default": True}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, schema.metadata) == []


@pytest.mark.parametrize("table", sorted(schema.metadata.tables))
def test_a_migrated_table_is_the_one_that_the_schema_would_make(migrated: Engine, created: Engine, table: str) -> None:
    assert _shape(migrated, table) == _shape(created, table)


def _shape(engine: Engine, table: str) -> dict[str, Any]:
    told = inspect(engine)
    columns = [{**column, "type": str(column["type"])} for column in told.get_columns(table)]
    return {
        "columns": sorted(columns, key=lambda column: str(column["name"])),
        "primary": told.get_pk_constraint(table)["constrained_columns"],
        "foreign": sorted((key["constrained_columns"], key["referred_table"]) for key in told.get_foreign_keys(table)),
        "unique": sorted(key["column_names"] for key in told.get_unique_constraints(table)),
        "checks": sorted((str(check["name"]), check["sqltext"]) for check in told.get_check_constraints(table)),
        "indexes": sorted(str(index["column_names"]) for index in told.get_indexes(table)),
        "never reused ids": _autoincrement(engine, table),
    }


def _autoincrement(engine: Engine, table: str) -> bool:
    with engine.connect() as connection:
        statement = text("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = :name")
        return "AUTOINCREMENT" in str(connection.execute(statement, {"name": table}).scalar_one())


def test_a_second_upgrade_does_nothing(tmp_path: Path) -> None:
    metadata = Metadata(f"sqlite:///{tmp_path / 'twice.sqlite3'}")
    assert (migrate.upgrade(metadata), migrate.upgrade(metadata)) == (True, False)
    metadata.close()
