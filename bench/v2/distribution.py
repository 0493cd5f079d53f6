"""Distribution, the registry that most people run: Debian's 2.8 and the newest, as their own documents set them up."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench import starting
from bench.client import Door
from tests.parts.ports import free_port
from tests.parts.registry import Running
from tests.parts.tools import tool

_PROGRAMS: Final = ("docker-registry", "registry")


@dataclass(frozen=True, slots=True)
class Distribution:
    """`name` is what the report calls it."""

    name: str
    program: Path


def installed() -> list[Distribution]:
    """Raises PartMissing."""
    return [_known(tool(name)) for name in _PROGRAMS]


def _known(program: Path) -> Distribution:
    told = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=30, check=True).stdout
    found = re.search(r"\bv?(\d+\.\d+\.\d+)", told.rpartition("/")[2])
    return Distribution(f"distribution {found[1] if found else told.strip()}", program)


@contextmanager
def running(which: Distribution, folder: Path, pier: Running, *, guarded: bool = True) -> Iterator[Door]:
    """On the certificate of the registry that runs and, where `guarded`, its users file; storage below `folder`.

    An open one and a guarded one may share a folder.
    """
    folder.mkdir(exist_ok=True)
    port = free_port()
    name = "guarded" if guarded else "open"
    configuration = folder / f"{name}.yml"
    configuration.write_text(_configuration(folder, pier, port, guarded), encoding="utf-8")
    command = [str(which.program), "serve", str(configuration)]
    # Nobody listens for traces here; older versions do not know the variable.
    quiet = {"OTEL_TRACES_EXPORTER": "none"}
    with starting.started(which.name, command, port, folder / f"{name}.log", quiet):
        yield Door(f"https://localhost:{port}", pier.ca)


def _configuration(folder: Path, pier: Running, port: int, guarded: bool) -> str:
    """Debian's, with TLS; the cache in memory and the log are those that a registry has by default."""
    auth = f"auth: {{htpasswd: {{realm: bench, path: {pier.data / 'users.htpasswd'}}}}}" if guarded else ""
    return f"""version: 0.1
storage:
  filesystem: {{rootdirectory: {folder / "storage"}}}
  cache: {{blobdescriptor: inmemory}}
  delete: {{enabled: true}}
http:
  addr: 127.0.0.1:{port}
  secret: bench
  headers: {{X-Content-Type-Options: [nosniff]}}
  tls: {{certificate: {pier.data / "tls" / "tls.crt"}, key: {pier.data / "tls" / "tls.key"}}}
{auth}
"""
