"""`pier migrate`: bring the database up to this version; safe to run again, and by several at once."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict

import click
from rich.progress import Progress, SpinnerColumn, TextColumn

from pier_registry.actions import synthesise as synthesising
from pier_registry.actions.synthesise import Report
from pier_registry.cli import output as out
from pier_registry.cli.data import opened, owned
from pier_registry.metadata import migrate as migrating
from pier_registry.metadata.session import Metadata
from pier_registry.patience import patiently
from pier_registry.settings import Settings


@click.command()
@click.option("--synthesise", is_flag=True, help="Also make v2 manifests for v1 tags that have none.")
@click.option(
    "--wait", type=click.FloatRange(0), default=0, help="Seconds to wait for a database that does not answer."
)
@out.choice
def migrate(synthesise: bool, wait: float, output: str) -> None:
    """Create or upgrade the tables that PIER_DATABASE_URL names."""
    settings = Settings.load()
    if not settings.database_url:
        owned(settings)
    metadata = Metadata(settings.database)
    try:
        changed = patiently(lambda: migrating.upgrade(metadata), wait, time.sleep)
    finally:
        metadata.close()
    report = _synthesised() if synthesise else None
    _print(changed, report, output)


def _synthesised() -> Report:
    with opened() as registry:
        if not sys.stderr.isatty():
            return synthesising.run(registry)
        with Progress(
            SpinnerColumn(), TextColumn("tags {task.completed}"), console=out.stderr(), transient=True
        ) as shown:
            task = shown.add_task("tags", total=None)
            return synthesising.run(registry, lambda: shown.advance(task))


def _print(changed: bool, report: Report | None, form: str) -> None:
    if form == "json":
        out.as_json({"migrated": changed} | (asdict(report) if report else {}))
        return
    click.echo("the database is now up to date" if changed else "the database was up to date")
    if report:
        click.echo(f"{report.made} tags got a v2 manifest")
        for name in report.left:
            click.echo(f"{name} stays a v1 tag only: a layer is lost, damaged or no tar")
