"""A registry's rows and files, kept to begin from again and again."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import select

from pier_registry.actions.registry import Registry
from pier_registry.metadata import schema
from pier_registry.metadata.session import Transaction
from tests.registry.counting import planting

_AREAS: Final = ("layers", "uploads")


@dataclass(frozen=True, slots=True)
class Saved:
    registry: Registry
    rows: dict[str, list[dict[str, Any]]]
    files: Path

    def restore(self) -> None:
        self.registry.metadata.write(self._insert)
        for area in _AREAS:
            shutil.rmtree(self.registry.settings.data / area)
            shutil.copytree(self.files / area, self.registry.settings.data / area)

    def _insert(self, tx: Transaction) -> None:
        planting.clear(tx)
        for table in schema.metadata.sorted_tables:
            if self.rows[table.name]:
                tx.run(table.insert(), self.rows[table.name])


def saved(registry: Registry, folder: Path) -> Saved:
    """Keeps the files in the folder; without v1 images, whose rows name each other."""
    for area in _AREAS:
        shutil.copytree(registry.settings.data / area, folder / area)
    return Saved(registry, registry.metadata.read(_rows), folder)


def _rows(tx: Transaction) -> dict[str, list[dict[str, Any]]]:
    tables = schema.metadata.sorted_tables
    return {table.name: [dict(row) for row in tx.run(select(table)).mappings()] for table in tables}
