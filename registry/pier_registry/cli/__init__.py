"""`pier`: one file per verb. Exit codes: 0 done, 1 refused or something is wrong, 2 wrong usage."""

from __future__ import annotations

import sys

import click

from pier_registry import __version__
from pier_registry.cli.delete import delete
from pier_registry.cli.fsck import fsck
from pier_registry.cli.migrate import migrate
from pier_registry.cli.proxy import proxy
from pier_registry.cli.serve import serve
from pier_registry.cli.tags import tags
from pier_registry.cli.usage import usage
from pier_registry.cli.users import users
from pier_registry.errors import PierError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="pier")
def pier() -> None:
    """A container registry that gives the disk back when a delete answers. Settings: PIER_* in the environment."""


for _verb in (serve, proxy, users, tags, usage, delete, fsck, migrate):
    pier.add_command(_verb)


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
