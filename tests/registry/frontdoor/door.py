"""A front door under test, and the plain words that tests use to talk to it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pier_registry import pki
from pier_registry.settings import Settings
from tests.parts.ports import free_port

ROOT = Path(__file__).parents[3]
LOGIN = {"Authorization": "Basic YW5uOnNlY3JldA=="}


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(slots=True)
class Door:
    """nginx and the stub registry on one data folder; `log` is where the front door's output goes."""

    settings: Settings
    log: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self) -> None:
        self.start_registry()
        self.start_proxy()

    def start_registry(self) -> None:
        self._run("tests.registry.frontdoor.stub")
        until(self.settings.socket.exists, "the registry's socket is there")

    def start_proxy(self) -> None:
        proxy = self._run("pier_registry.proxy")
        until(lambda: self.serves() or proxy.poll() is not None, "nginx serves")
        assert proxy.poll() is None, self.log.read_text()

    def _run(self, module: str) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", module], env=environment(self.settings), stdout=log, stderr=log, cwd=ROOT
            )
        self.processes.append(process)
        return process

    def listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.settings.port)) == 0

    def serves(self) -> bool:
        """More than listening, which `nginx -t` does for a moment before nginx itself does."""
        with contextlib.suppress(OSError), self.tls():
            return True
        return False

    @property
    def proxy(self) -> subprocess.Popen[bytes]:
        return self.processes[-1]

    def stop(self) -> None:
        for process in reversed(self.processes):
            stop(process)
        self.processes.clear()

    # what clients do

    def tls(self, **options: Any) -> ssl.SSLSocket:
        """A verified connection to the public port."""
        context = ssl.create_default_context(cafile=str(self.settings.tls / "ca.crt"))
        for name, value in options.items():
            setattr(context, name, value)
        plain = socket.create_connection(("127.0.0.1", self.settings.port), timeout=20)
        return context.wrap_socket(plain, server_hostname="localhost")

    def connect(self) -> http.client.HTTPSConnection:
        context = ssl.create_default_context(cafile=str(self.settings.tls / "ca.crt"))
        return http.client.HTTPSConnection("localhost", self.settings.port, timeout=20, context=context)

    def ask(
        self, path: str, headers: Mapping[str, str] = LOGIN, *, method: str = "GET", body: bytes | None = None
    ) -> Answer:
        with contextlib.closing(self.connect()) as connection:
            return answer(connection, method, path, headers, body)

    def private(self, path: str) -> Answer:
        with contextlib.closing(
            http.client.HTTPConnection("127.0.0.1", self.settings.health_port, timeout=20)
        ) as connection:
            return answer(connection, "GET", path, {}, None)

    def say(self, raw: bytes) -> bytes:
        """Send raw bytes on one connection; everything that comes back until the other side closes."""
        with self.tls() as connection:
            with contextlib.suppress(OSError):  # the other side may refuse before it has read all
                connection.sendall(raw)
            return read_all(connection)

    def serial(self) -> int:
        """Of the certificate that a new connection is shown."""
        with self.tls() as connection:
            shown = connection.getpeercert()
        assert shown is not None
        return int(str(shown["serialNumber"]), 16)

    # what came of it

    def seen(self) -> list[str]:
        """The requests that reached the registry."""
        file = self.settings.data / "seen"
        return file.read_text().splitlines() if file.exists() else []

    def pieces(self) -> list[int]:
        file = self.settings.data / "pieces"
        return [int(line) for line in file.read_text().splitlines()] if file.exists() else []

    def layer(self, name: str, content: bytes) -> None:
        file = self.settings.data / "layers" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)

    def log_lines(self, word: str) -> list[dict[str, Any]]:
        """Access log lines that hold the word; waits for the first."""

        def found() -> list[bytes]:
            return [
                line for line in self.log.read_bytes().splitlines() if line.startswith(b"{") and word.encode() in line
            ]

        until(lambda: bool(found()), f"{word} is in the access log")
        return [json.loads(line) for line in found()]


def answer(
    connection: http.client.HTTPConnection, method: str, path: str, headers: Mapping[str, str], body: bytes | None
) -> Answer:
    connection.request(method, path, body=body, headers=dict(headers))
    got = connection.getresponse()
    return Answer(got.status, {name.lower(): value for name, value in got.getheaders()}, got.read())


def read_all(connection: socket.socket) -> bytes:
    parts: list[bytes] = []
    while True:
        try:
            part = connection.recv(65536)
        except (ConnectionResetError, ssl.SSLEOFError):
            part = b""
        if not part:
            return b"".join(parts)
        parts.append(part)


def until(true: Callable[[], bool], what: str, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.05)


def stop(process: subprocess.Popen[bytes]) -> int:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        return process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(20)
        raise


def environment(settings: Settings) -> dict[str, str]:
    """What the settings were made of, for a child."""
    given = {
        "PIER_DATA": str(settings.data),
        "PIER_HOST": settings.host,
        "PIER_PORT": str(settings.port),
        "PIER_HEALTH_PORT": str(settings.health_port),
        "PIER_PLAIN_PORT": str(settings.plain_port),
        "PIER_WORKERS": str(settings.workers),
        "PIER_THREADS": str(settings.threads),
        "PIER_TRUSTED_PROXIES": ",".join(settings.trusted_proxies),
        "PIER_PUBLIC_URL": settings.public_url,
        "PIER_ANONYMOUS_PULL": "on" if settings.anonymous_pull else "off",
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PIER_")}
    return kept | given | {"PYTHONUNBUFFERED": "1"}


def settings(data: Path, **given: Any) -> Settings:
    chosen: dict[str, Any] = {"data": data, "host": "127.0.0.1", "workers": 1, "threads": 8}
    return Settings(**(chosen | free_ports() | given))


def free_ports() -> dict[str, int]:
    return {"port": free_port(), "health_port": free_port()}


@contextlib.contextmanager
def opened(folder: Path, **given: Any) -> Iterator[Door]:
    """A running front door with a certificate of Pier's own CA."""
    data = folder / "data"
    data.mkdir(parents=True)
    door = Door(settings(data, **given), folder / "log")
    pki.ensure(door.settings)
    try:
        door.start()
        yield door
    finally:
        door.stop()
