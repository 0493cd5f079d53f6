"""`pier`: one file per verb. Exit codes: 0 done, 1 refused or something is wrong, 2 wrong usage."""

from __future__ import annotations

import importlib
import sys
from typing import Final

import click

from pier_registry import __version__
from pier_registry.errors import PierError

VERBS: Final = ("serve", "proxy", "users", "tags", "usage", "delete", "fsck", "migrate")


class _Verbs(click.Group):
    """A verb is imported when it is asked for: one that runs for months holds no more than it needs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        found = getattr(importlib.import_module(f"pier_registry.cli.{cmd_name}"), cmd_name)
        assert isinstance(found, click.Command)  # noqa: S101  narrows the type
        return found


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="pier")
def pier() -> None:
    """A container registry that gives the disk back when a delete answers. Settings: PIER_* in the environment."""


def main() -> None:
    """The command's entry: a refusal is one sentence on stderr, never a traceback."""
    try:
        pier()
    except PierError as refused:
        click.echo(f"pier: {refused.message}", err=True)
        sys.exit(1)
    except OSError as broken:
        click.echo(f"pier: {broken.filename or 'the system'}: {broken.strerror or broken}", err=True)
        sys.exit(1)
