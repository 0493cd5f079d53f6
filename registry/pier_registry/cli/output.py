"""How commands speak: tables for people, JSON for scripts."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import click
from rich.console import Console
from rich.table import Table

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


choice: Callable[[Callable[..., Any]], Callable[..., Any]] = click.option(
    "--output", type=click.Choice(["table", "json"]), default="table", show_default=True, help="Form of the answer."
)


def as_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, sort_keys=True))


def console() -> Console:
    return Console(highlight=False, markup=False, emoji=False)


def stderr() -> Console:
    return Console(stderr=True, highlight=False, markup=False, emoji=False)


def table(title: str, *columns: str) -> Table:
    made = Table(title=title, title_justify="left", header_style="bold")
    for column in columns:
        numeric = column in {"size", "freed", "count", "holders", "tags"}
        made.add_column(column, justify="right" if numeric else "left", overflow="fold")
    return made


def human(size: int) -> str:
    """`1.5 MiB`."""
    amount = float(size)
    for unit in _UNITS:
        if amount < 1024 or unit == _UNITS[-1]:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    raise AssertionError
