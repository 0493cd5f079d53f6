"""A plain nginx beside the registry: the same TLS and sendfile lines, taken from the registry's own configuration.

It reads without further threads, as the registry's does what is in memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench import starting
from bench.client import Door
from pier_registry.proxy.configuration import Nginx
from tests.parts.ports import free_port
from tests.parts.registry import Running

_MAIN: Final = ("user", "worker_processes", "worker_rlimit_nofile")
_HTTP: Final = (
    "sendfile",
    "tcp_nopush",
    "sendfile_max_chunk",
    "output_buffers",
    "gzip",
    "keepalive_timeout",
    "keepalive_requests",
)
_SERVER: Final = (
    "ssl_certificate",
    "ssl_certificate_key",
    "ssl_protocols",
    "ssl_ciphers",
    "ssl_session_cache",
    "ssl_session_timeout",
    "ssl_session_tickets",
)


@dataclass(frozen=True, slots=True)
class Files:
    """`/open` gives `file` to everybody, `/guarded` to the users of the registry's file, by nginx itself."""

    file: Path
    users: Path


@contextmanager
def running(folder: Path, registry: Running, files: Files) -> Iterator[Door]:
    """An nginx on a port of its own until the end of the block."""
    folder.mkdir()
    port = free_port()
    configuration = folder / "nginx.conf"
    configuration.write_text(_rendered(folder, registry, files, port), encoding="utf-8")
    command = [Nginx.find().program, "-e", "stderr", "-p", str(folder), "-c", str(configuration)]
    with starting.started("nginx, as the peer,", command, port, folder / "log"):
        yield Door(f"https://localhost:{port}", registry.ca)


def _rendered(folder: Path, registry: Running, files: Files, port: int) -> str:
    own = (registry.data / "run" / "nginx.conf").read_text(encoding="utf-8")
    return f"""
daemon off;
pid "{folder}/pid";
error_log stderr warn;
{_lines(own, _MAIN)}
events {{ worker_connections 1024; }}
http {{
    default_type application/octet-stream;
    access_log "{folder}/access.log";
    client_body_temp_path "{folder}/body";
    proxy_temp_path "{folder}/proxy";
    fastcgi_temp_path "{folder}/fastcgi";
    uwsgi_temp_path "{folder}/uwsgi";
    scgi_temp_path "{folder}/scgi";
    {_lines(own, _HTTP)}
    server {{
        listen 127.0.0.1:{port} ssl;
        {_lines(own, _SERVER)}
        location = /open {{ alias "{files.file}"; }}
        location = /guarded {{
            auth_basic Pier;
            auth_basic_user_file "{files.users}";
            alias "{files.file}";
        }}
    }}
}}
"""


def _lines(configuration: str, directives: tuple[str, ...]) -> str:
    """The first line of each directive, where there is one."""
    found = [re.search(rf"^ *({name} [^\n]*;)", configuration, re.MULTILINE) for name in directives]
    return "\n".join(match[1] for match in found if match)
