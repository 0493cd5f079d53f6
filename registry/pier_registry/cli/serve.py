"""`pier serve`: the whole registry in the foreground, until Ctrl-C."""

from __future__ import annotations

import contextlib
import shlex
import signal
import sys
from functools import partial

import click
from rich.console import Console
from rich.text import Text

from pier_registry import child, logs, supervisor
from pier_registry.errors import Misconfigured
from pier_registry.proxy.configuration import Nginx
from pier_registry.proxy.runner import Signals
from pier_registry.settings import Settings
from pier_registry.supervisor import Mode, Supervisor
from pier_registry.web import bootstrap
from pier_registry.web.rights import ADMIN
from pier_registry.web.users import Users

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
        _prepare(settings, mode)
        _prepare_data(signals)
        with Supervisor(settings, mode, signals) as parts, _private_port(settings, mode):
            return parts.watch(partial(_welcome, settings, mode))


def _prepare(settings: Settings, mode: Mode) -> None:
    """What can be refused is refused here, before anything runs. Raises Misconfigured."""
    supervisor.check_address(settings, mode)
    if mode is Mode.NGINX:
        Nginx.find()
    if mode is not Mode.SOCKET:
        from pier_registry import pki

        pki.ensure(settings)
    bootstrap.ensure_admin(settings)
    bootstrap.someone_can_log_in(Users(settings.users_file))


def _prepare_data(signals: Signals) -> None:
    """In a process of its own, which says what is wrong: this one lives for months, and stays small. May exit."""
    process = child.start([sys.executable, "-m", "pier_registry.preparing"])
    told = False
    while process.poll() is None:
        if signals.wait(_TICK):
            told = True
            child.send(process, signal.SIGTERM)
    if process.returncode < 0:
        raise Misconfigured(f"preparing the data was killed by signal {-process.returncode}: start pier serve again")
    if told or process.returncode:
        sys.exit(process.returncode)


def _private_port(settings: Settings, mode: Mode) -> contextlib.AbstractContextManager[None]:
    if mode is not Mode.DIRECT:
        return contextlib.nullcontext()
    from pier_registry import app, direct

    return direct.private_port(settings, app.create_health_app(settings))


def _welcome(settings: Settings, mode: Mode) -> None:
    console = Console(highlight=False, soft_wrap=True)
    if mode is not Mode.SOCKET:
        for label, value in _card(settings):
            console.print(Text(f"{label:<9}", style="dim") + Text(value, style="bold"))
        console.print(_trials(settings), markup=False)
    console.print("Pier is ready", markup=False)


def _card(settings: Settings) -> list[tuple[str, str]]:
    return [
        ("registry", settings.url),
        ("user", ADMIN),
        ("password", _password_place(settings)),
        ("CA", _authority_place(settings)),
    ]


def _password_place(settings: Settings) -> str:
    file = bootstrap.password_file(settings.data)
    if file.exists():
        return f"in {file.absolute()}"
    return "the one of PIER_ADMIN_PASSWORD" if settings.admin_password else "the one you set"


def _authority_place(settings: Settings) -> str:
    file = settings.tls.absolute() / "ca.crt"
    return str(file) if file.exists() else "the issuer of your own certificate"


def _trials(settings: Settings) -> str:
    """Lines to copy: trust, log in, push, look; skopeo trusts and logs in by what docker keeps."""
    host = settings.url.partition("://")[2]
    folder, authority = f"/etc/docker/certs.d/{host}", settings.tls.absolute() / "ca.crt"
    ca = f"--cacert {shlex.quote(str(authority))} " if authority.exists() else ""
    trust = [f"sudo mkdir -p {folder} && sudo cp {shlex.quote(str(authority))} {folder}/ca.crt"]
    return "\n".join(
        [
            "",
            *(trust if authority.exists() else []),
            f"docker login --username {ADMIN} {host}",
            f"docker tag IMAGE {host}/team/app && docker push {host}/team/app",
            f"skopeo list-tags docker://{host}/team/app",
            f"curl {ca}--user {ADMIN} {settings.url}/api/repositories",
            "",
        ]
    )
