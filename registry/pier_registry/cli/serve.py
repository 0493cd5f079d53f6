"""`pier serve`: the whole registry in the foreground, until Ctrl-C."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from functools import partial

import click

from pier_registry import child, logs, supervisor
from pier_registry.errors import Misconfigured
from pier_registry.proxy.configuration import Nginx
from pier_registry.proxy.runner import Signals
from pier_registry.settings import Settings
from pier_registry.supervisor import Mode, Supervisor

_TICK = 0.05  # seconds


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
        _prepare(mode, signals)
        counts = os.memfd_create("pier-counts") if mode is Mode.DIRECT else None
        with Supervisor(settings, mode, signals, counts) as parts, _private_port(settings, counts):
            return parts.watch(partial(_welcome, settings, mode))


def _check(settings: Settings, mode: Mode) -> None:
    """Raises Misconfigured."""
    supervisor.check_address(settings, mode)
    if mode is Mode.NGINX:
        Nginx.find()


def _prepare(mode: Mode, signals: Signals) -> None:
    """In a process of its own, which says what is wrong: this one lives for months, and stays small. May exit."""
    command = [sys.executable, "-m", "pier_registry.preparing"]
    process = child.start(command if mode is Mode.SOCKET else [*command, "--certificate"])
    told = False
    while process.poll() is None:
        if signals.wait(_TICK):
            told = True
            child.send(process, signal.SIGTERM)
    if told:  # even before it listened for signals
        sys.exit(max(process.returncode, 0))
    if process.returncode < 0:
        raise Misconfigured(f"the preparation was killed by signal {-process.returncode}: start pier serve again")
    if process.returncode:
        sys.exit(process.returncode)


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
