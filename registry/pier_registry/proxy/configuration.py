"""The nginx configuration, rendered from the settings into `<data>/run/nginx.conf`."""

from __future__ import annotations

import os
import re
import resource
import shutil
import socket
import subprocess
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from pier_registry import engines
from pier_registry.errors import Misconfigured
from pier_registry.settings import Settings

if TYPE_CHECKING:
    import jinja2

MAX_SOCKET_PATH = 100
V1_VERSION = "0.9.1"  # as the registry's own answers say; old clients only ask that it is there
_OPEN_FILES = 16384
_ALL_ADDRESSES = {"0.0.0.0", "::"}  # noqa: S104

# What only the front door itself, or software that trusts a front door, may say of a request.
STRIPPED = (
    "X-Pier-User",
    "X-Forwarded-User",
    "X-Forwarded-Email",
    "X-Forwarded-Groups",
    "X-Forwarded-Preferred-Username",
    "X-Forwarded-Host",
    "X-Forwarded-Port",
    "X-Forwarded-Prefix",
    "X-Forwarded-Path",
    "X-Forwarded-Server",
    "X-Forwarded-Scheme",
    "X-Forwarded-Protocol",
    "X-Forwarded-Ssl",
    "X-Forwarded-Uri",
    "X-Forwarded-Method",
    "Forwarded",
    "X-Real-IP",
    "X-Client-IP",
    "Remote-User",
    "X-Remote-User",
    "X-Remote-Group",
    "X-Auth-Request-User",
    "X-Original-URL",
    "X-Original-URI",
    "X-Original-Method",
    "X-Rewrite-URL",
    "X-HTTP-Method-Override",
    "X-HTTP-Method",
    "X-Method-Override",
    "X-Script-Name",
    "Script-Name",
    "X-Sendfile",
    "X-Sendfile-Type",
    "X-Accel-Redirect",
    "X-Accel-Internal",
    "X-Accel-Mapping",
    "X-Accel-Buffering",
    "X-Accel-Expires",
    "X-Accel-Charset",
    "X-Accel-Limit-Rate",
    "Proxy",
)

# nginx drops what the registry said beside X-Accel-Redirect; these are said again (empty ones are left out).
KEPT = (
    "ETag",
    "Last-Modified",
    "Docker-Content-Digest",
    "Docker-Distribution-Api-Version",
    "X-Docker-Registry-Version",
    "X-Docker-Registry-Config",
    "X-Docker-Size",
    "X-Docker-Checksum",
    "X-Docker-Checksum-Payload",
    "X-Docker-Payload-Checksum",
    "Vary",
    "X-Content-Type-Options",
    "Warning",
)

SENTENCES = (
    (
        "malformed",
        400,
        "the request is malformed, or one of its headers is longer than 16 kB: mend it and send it again",
    ),
    ("login", 401, "Requires authorization"),
    ("nothing", 404, "there is nothing at this address"),
    ("image", 404, "Image not found"),
    ("method", 405, "this address does not take that method"),
    ("slow", 408, "the request took too long to arrive: send it again"),
    ("large", 413, "the request is too large"),
    ("long", 414, "the address of the request is too long"),
    ("range", 416, "the range lies outside of the layer"),
    ("headers", 431, "the headers of the request are too large"),
    ("plain", 400, "this port speaks https: use https:// in front of the address"),
    ("broken", 500, "the front door met an error: its log says more"),
    ("away", 503, "the registry is starting or down: try again in a few seconds"),
)

# In the list shape of OCI: codes, and sentences where they are others than those of v1.
CODES = {
    "login": "UNAUTHORIZED",
    "image": "BLOB_UNKNOWN",
    "range": "RANGE_INVALID",
    "broken": "UNKNOWN",
    "away": "UNAVAILABLE",
    "large": "SIZE_INVALID",
}
LISTED = {
    "login": "log in: this registry needs a user name and a password",
    "image": "this registry has no such layer, or you may not see it",
    "range": "the range lies outside of the blob",
}


@dataclass(frozen=True, slots=True)
class Nginx:
    """The nginx of this host."""

    program: str
    version: tuple[int, ...]
    threads: bool

    @classmethod
    def find(cls) -> Nginx:
        """Raises Misconfigured when there is none."""
        program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/opt/homebrew/bin")
        if program is None:
            raise Misconfigured("nginx is not installed: install it (Debian: apt-get install nginx), or use --direct")
        told = subprocess.run([program, "-V"], capture_output=True, text=True, check=True).stderr
        found = re.search(r"nginx/(\d+)\.(\d+)\.(\d+)", told)
        version = tuple(int(part) for part in found.groups()) if found else (0, 0, 0)
        return cls(program, version, "--with-threads" in told)


def write(settings: Settings, nginx: Nginx) -> Path:
    """Render into `<data>/run`, in one step; returns the file. Raises Misconfigured as `render` does."""
    text = render(settings, nginx)
    run = settings.run.absolute()
    (run / "temporary").mkdir(parents=True, exist_ok=True)
    path = run / "nginx.conf"
    temporary = run / ".nginx.conf"
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
    return path


def render(settings: Settings, nginx: Nginx) -> str:
    """Raises Misconfigured for a data folder whose name nginx cannot hold."""
    check_socket(settings)
    template = _environment().from_string(
        resources.files(__package__ or "").joinpath("nginx.conf.j2").read_text(encoding="utf-8")
    )
    return template.render(
        root=os.geteuid() == 0,
        run=_plain(settings.run),
        tls=_plain(settings.tls),
        data=_plain(settings.data),
        sockets=[_plain(path) for path in settings.worker_sockets],
        files=_open_files(),
        threads=nginx.threads,
        http2_directive=nginx.version >= (1, 25, 1),
        version=V1_VERSION,
        public=addresses(settings.host, settings.port),
        plain=addresses(settings.host, settings.plain_port) if settings.plain_port else [],
        private=address(settings.health_host, settings.health_port),
        trusted_proxies=settings.trusted_proxies,
        stripped=STRIPPED,
        kept=KEPT,
        sentences=SENTENCES,
        codes=CODES,
        listed=LISTED,
        old_engine=engines.V1_ONLY,
        anonymous_pull=settings.anonymous_pull,
    )


def check_socket(settings: Settings) -> None:
    """Raises Misconfigured when the socket's path is longer than the kernel takes."""
    path = max((str(path.absolute()) for path in settings.worker_sockets), key=len)
    if len(os.fsencode(path)) > MAX_SOCKET_PATH:
        raise Misconfigured(
            f"the socket {path} would have a path of more than {MAX_SOCKET_PATH} bytes: "
            "set PIER_DATA to a folder with a shorter path"
        )


def addresses(host: str, port: int) -> list[str]:
    """What to listen on; all IPv4 addresses bring all IPv6 addresses with them where the host has IPv6."""
    if host in _ALL_ADDRESSES:
        return [f"0.0.0.0:{port}"] + ([f"[::]:{port}"] if has_ipv6() else [])
    return [address(host, port)]


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::", 0))
    except OSError:
        return False
    return True


def address(host: str, port: int) -> str:
    """`host:port`, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _plain(path: Path) -> str:
    text = str(path.absolute())
    if re.search(r'["\\$\x00-\x1f]', text):
        raise Misconfigured(f"PIER_DATA is {text!r}: nginx needs a path without double quotes, $ and backslashes")
    return text


def _open_files() -> int:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)


def _environment() -> jinja2.Environment:
    import jinja2  # only who renders needs it in memory

    return jinja2.Environment(  # noqa: S701  nothing here is HTML
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
