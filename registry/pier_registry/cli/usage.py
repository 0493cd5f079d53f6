"""`pier usage`: what is stored, what came back, what is on its way."""

from __future__ import annotations

from dataclasses import asdict

import click

from pier_registry.actions import inspect
from pier_registry.cli import output as out
from pier_registry.cli.data import opened


@click.command()
@out.choice
def usage(output: str) -> None:
    """Show how much is stored, and how much deletes gave back."""
    with opened() as registry:
        sums = asdict(inspect.totals(registry))
        free = registry.storage.free()
    _print(sums | {"free_bytes": free}, output)


def _print(sums: dict[str, int], form: str) -> None:
    if form == "json":
        out.as_json(sums)
        return
    table = out.table("", "what", "count")
    for name, value in sums.items():
        shown = out.human(value) if name.endswith("bytes") else f"{value:,}"
        table.add_row(name.replace("_", " "), shown)
    out.console().print(table)
