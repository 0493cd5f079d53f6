"""`pier delete REPO[:TAG] [--preview]`: the same words before and after."""

from __future__ import annotations

import click

from pier_registry import errors
from pier_registry.actions import delete as deleting
from pier_registry.actions.receipt import Receipt
from pier_registry.actions.registry import Registry, local_admin
from pier_registry.cli import output as out
from pier_registry.cli.data import opened
from pier_registry.names import RepositoryName, parse_tag


@click.command()
@click.argument("what", metavar="REPO[:TAG]")
@click.option("--preview", is_flag=True, help="Show the receipt that the delete would give, and change nothing.")
@out.choice
def delete(what: str, preview: bool, output: str) -> None:
    """Delete a tag, or a whole repository, and all that only it holds; the disk is free when this returns."""
    repository, colon, tag = what.partition(":")
    if colon and not tag:  # an empty variable of a script must not delete a whole repository
        raise errors.Invalid(f"{what} names no tag: write {what}TAG, or {repository} for the whole repository")
    with opened() as registry:
        receipt = _delete(registry, RepositoryName.parse(repository), tag, preview)
    _print(receipt, output)


def _delete(registry: Registry, repository: RepositoryName, tag: str, preview: bool) -> Receipt:
    if tag and preview:
        return deleting.preview_tag(registry, local_admin(), repository, parse_tag(tag))
    if tag:
        return deleting.tag(registry, local_admin(), repository, parse_tag(tag), explain=True)
    if preview:
        return deleting.preview_repository(registry, local_admin(), repository)
    return deleting.repository(registry, local_admin(), repository)


def _print(receipt: Receipt, form: str) -> None:
    if form == "json":
        out.as_json(receipt.as_json())
        return
    table = out.table(", ".join(f"{receipt.repository}:{tag}" for tag in receipt.tags), "layer", "size", "what")
    for line in receipt.layers:
        table.add_row(line.digest[:19], out.human(line.size), "freed")
    for kept in receipt.kept:
        others = f" and {kept.others} more" if kept.others else ""
        table.add_row(kept.digest[:19], out.human(kept.size), f"kept by {', '.join(kept.held_by)}{others}")
    for promised in receipt.promised:
        table.add_row(promised.digest[:19], out.human(promised.size), f"promised to a push until {promised.until}")
    console = out.console()
    console.print(table)
    console.print(f"freed {out.human(receipt.freed_bytes)}, pending {out.human(receipt.pending_bytes)}")
