"""`pier migrate`: bring the database up to this version; safe to run again, and by several at once."""

from __future__ import annotations

import click

from pier_registry.cli import output as out
from pier_registry.cli.data import owned
from pier_registry.metadata import migrate as migrating
from pier_registry.metadata.session import Metadata
from pier_registry.settings import Settings


@click.command()
@out.choice
def migrate(output: str) -> None:
    """Create or upgrade the tables that PIER_DATABASE_URL names."""
    settings = Settings.load()
    if not settings.database_url:
        owned(settings)
    metadata = Metadata(settings.database)
    try:
        changed = migrating.upgrade(metadata)
    finally:
        metadata.close()
    _print(changed, output)


def _print(changed: bool, form: str) -> None:
    if form == "json":
        out.as_json({"migrated": changed})
    else:
        click.echo("the database is now up to date" if changed else "the database was up to date")
