"""`pier proxy`: nginx alone, for a container of its own beside the registry's."""

from __future__ import annotations

import sys

import click

from pier_registry import logs
from pier_registry.proxy import runner
from pier_registry.settings import Settings


@click.command()
def proxy() -> None:
    """Run the front door (nginx) on this machine's data folder, and follow its certificate."""
    logs.to_stderr()
    sys.exit(runner.run(Settings.load()))
