"""What `pier serve` shows once it is ready: where it is, who may log in, and lines to try."""

from __future__ import annotations

import shlex

from rich.console import Console
from rich.text import Text

from pier_registry.settings import Settings
from pier_registry.web import bootstrap
from pier_registry.web.rights import ADMIN


def show(settings: Settings) -> None:
    console = Console(highlight=False, soft_wrap=True)
    for label, value in _card(settings):
        console.print(Text(f"{label:<9}", style="dim") + Text(value, style="bold"))
    console.print(_trials(settings), markup=False)


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
