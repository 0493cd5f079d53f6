"""`pier tags [REPO]`: repositories, or the tags of one with what each costs alone."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click

from pier_registry.actions import browse
from pier_registry.actions.registry import Registry, local_admin
from pier_registry.cli import output as out
from pier_registry.cli.data import opened
from pier_registry.names import RepositoryName

_PAGE = 1000


@click.command()
@click.argument("repository", required=False)
@out.choice
def tags(repository: str | None, output: str) -> None:
    """List the tags of REPOSITORY, or all repositories with their tags."""
    with opened() as registry:
        names = [RepositoryName.parse(repository)] if repository else _all(registry)
        rows = [row for name in names for row in _rows(registry, name)]
    _print(rows, output)


def _all(registry: Registry) -> list[RepositoryName]:
    found: list[str] = []
    while batch := browse.repository_names(registry, local_admin(), after=found[-1] if found else "", count=_PAGE):
        found += batch
    return [RepositoryName(name, name) for name in found]


def _rows(registry: Registry, name: RepositoryName) -> list[dict[str, Any]]:
    return [
        {
            "repository": name.short,
            "tag": known.name,
            "image": known.image_id,
            "digest": known.digest,
            "updated": datetime.fromtimestamp(known.updated / 1000, UTC).isoformat(timespec="seconds"),
        }
        for known in browse.tag_list(registry, local_admin(), name)
    ]


def _print(rows: list[dict[str, Any]], form: str) -> None:
    if form == "json":
        out.as_json(rows)
        return
    table = out.table("", "tag", "points at", "updated")
    for row in rows:
        target = row["digest"] or row["image"] or ""
        table.add_row(f"{row['repository']}:{row['tag']}", target[:19], row["updated"])
    out.console().print(table)
