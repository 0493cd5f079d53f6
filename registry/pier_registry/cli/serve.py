"""`pier serve`: the whole registry in the foreground, until Ctrl-C."""

from __future__ import annotations

import contextlib
import os
import sys
from functools import partial

import click

from pier_registry import logs, supervisor
from pier_registry.proxy.configuration import Nginx
from pier_registry.settings import Settings
from pier_registry.signals import Signals
from pier_registry.supervisor import Mode, Supervisor


@click.command()
@click.option("--direct", is_flag=True, help="Serve https without nginx (development).")
@click.option("--no-proxy", is_flag=True, help="Serve the unix socket only; `pier proxy` runs elsewhere.")
def serve(direct: bool, no_proxy: bool) -> None:
    """Start the registry: certificate, first user, database, server and front door."""
    if direct and no_proxy:
        raise click.UsageError("--direct and --no-proxy exclude each other")
    logs.to_stderr()
    mode = Mode.DIRECT if direct else Mode.SOCKET if no_proxy else Mode.NGINX
    sys.exit(_serve(Settings.load(), mode))


def _serve(settings: Settings, mode: Mode) -> int:
    signals = Signals.caught()
    with supervisor.alone_on(settings):
        _check(settings, mode)
        counts = os.memfd_create("pier-counts") if mode is Mode.DIRECT else None
        with contextlib.ExitStack() as opened, Supervisor(settings, mode, signals, counts) as parts:
            return parts.watch(
                lambda: opened.enter_context(_private_port(settings, counts)), partial(_welcome, settings, mode)
            )


def _check(settings: Settings, mode: Mode) -> None:
    """Raises Misconfigured."""
    supervisor.check_address(settings, mode)
    if mode is Mode.NGINX:
        Nginx.find()


def _private_port(settings: Settings, counts: int | None) -> contextlib.AbstractContextManager[None]:
    """Without nginx, this process has it, and tells what the registry counts."""
    if counts is None:
        return contextlib.nullcontext()
    from pier_registry import app, direct
    from pier_registry.web.traffic import Counts

    return direct.private_port(settings, app.create_health_app(settings, Counts(settings.workers, counts)))


def _welcome(settings: Settings, mode: Mode) -> None:
    if mode is not Mode.SOCKET:
        from pier_registry.cli import welcome

        welcome.show(settings)
    click.echo("Pier is ready")
