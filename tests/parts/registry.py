"""A running Pier: the real `pier serve`, on free ports of this host, with a data folder of its own."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

from tests.parts.ports import free_port

PIER: Final = [sys.executable, "-m", "pier_registry"]
READY_WITHIN: Final = 90.0


@dataclass(slots=True)
class Running:
    """One registry. `environment` is what its commands need to find it."""

    data: Path
    port: int
    health_port: int
    password: str
    environment: dict[str, str]
    arguments: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    clients: list[httpx.Client] = field(default_factory=list)

    @property
    def host(self) -> str:
        return f"localhost:{self.port}"

    @property
    def url(self) -> str:
        return f"https://{self.host}"

    @property
    def ca(self) -> Path:
        return self.data / "tls" / "ca.crt"

    @property
    def log(self) -> Path:
        return self.data.with_name(self.data.name + ".log")

    def client(self, user: str = "admin", password: str | None = None, **options: Any) -> httpx.Client:
        """A client that trusts the registry's CA and logs in; closed with the registry."""
        return self._client(auth=(user, password or self.password), **options)

    def anonymous(self) -> httpx.Client:
        return self._client()

    def _client(self, **options: Any) -> httpx.Client:
        trusting = ssl.create_default_context(cafile=str(self.ca))
        made = httpx.Client(base_url=self.url, verify=trusting, timeout=60, **options)
        self.clients.append(made)
        return made

    def private(self, path: str) -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{self.health_port}{path}", timeout=30)

    def pier(self, *arguments: str, check: bool = True, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run the command line on this registry's data."""
        done = subprocess.run(
            [*PIER, *arguments],
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(f"pier {' '.join(arguments)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def add_user(self, name: str, *, role: str | None = None, repositories: str = "*") -> str:
        """Returns the new user's password."""
        password = secrets.token_urlsafe(12)
        rights = ["--role", role, "--repositories", repositories] if role else []
        self.pier("users", "add", name, "--password-stdin", "--cost", "10", *rights, stdin=password)
        return password

    def usage(self) -> dict[str, int]:
        found: dict[str, int] = json.loads(self.pier("usage", "--output", "json").stdout)
        return found

    def start(self) -> None:
        began = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*PIER, "serve", *self.arguments], env=self.environment, stdout=log, stderr=subprocess.STDOUT
            )
        deadline = time.monotonic() + READY_WITHIN
        while b"Pier is ready" not in self.log.read_bytes()[began:]:
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise AssertionError(f"the registry did not start:\n{self.log.read_text()[-4000:]}")
            time.sleep(0.05)

    def _ready(self) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return self.private("/readyz").status_code == 200
        return False

    def stop(self) -> int:
        """Gently; returns the exit code."""
        if self.process is None:
            return 0
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()
        finally:
            self.process = None

    def workers(self) -> list[int]:
        """Processes below `pier serve` that have a parent of their own command: gunicorn's workers."""
        assert self.process is not None
        known: dict[int, tuple[int, str]] = {}
        for name in os.listdir("/proc"):
            if name.isdigit():
                with contextlib.suppress(OSError):
                    known[int(name)] = _process(int(name))
        family = {self.process.pid}
        while more := {pid for pid, (parent, _) in known.items() if parent in family} - family:
            family |= more
        parents = {known[pid][0] for pid in family if pid in known}
        return [pid for pid in family if pid not in parents and "nginx" not in known[pid][1]]

    def kill(self) -> None:
        """As a power cut would: the supervisor's children die with it."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.process = None
        deadline = time.monotonic() + 10
        while self._ready() and time.monotonic() < deadline:
            time.sleep(0.05)


def configured(data: Path, *arguments: str, **settings: object) -> Running:
    """A registry that is not started yet; `settings` are PIER_* in lower case."""
    port, health_port, password = free_port(), free_port(), secrets.token_urlsafe(12)
    given: Mapping[str, object] = {
        "data": data,
        "host": "127.0.0.1",
        "port": port,
        "health_port": health_port,
        "admin_password": password,
        **settings,
    }
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("PIER_")}
    environment = inherited | {f"PIER_{key.upper()}": str(value) for key, value in given.items()}
    return Running(data, port, health_port, password, environment, arguments)


@contextlib.contextmanager
def registry(data: Path, *arguments: str, **settings: object) -> Iterator[Running]:
    """`pier serve` with these arguments and settings, until the end of the block."""
    running = configured(data, *arguments, **settings)
    if "database_url" in settings:
        running.pier("migrate")
    running.start()
    try:
        yield running
    finally:
        for client in running.clients:
            client.close()
        running.stop()


def _process(pid: int) -> tuple[int, str]:
    """Parent and command line."""
    stat = Path(f"/proc/{pid}/stat").read_text()
    command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    return int(stat.rpartition(")")[2].split()[1]), command
