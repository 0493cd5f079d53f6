"""Registries as a test wants them: behind nginx or on their own, and the words to speak to them byte by byte."""

from __future__ import annotations

import base64
import contextlib
import json
import secrets
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from email.parser import BytesParser
from pathlib import Path
from typing import Any, Final

import httpx

from pier_registry.web import rights_file, users
from tests.parts.registry import READY_WITHIN, Running, configured

DOORS: Final = ("nginx", "direct")
_CHEAP: Final = 4  # bcrypt's cost, so that a wrong password takes no quarter of a second
_ARGUMENTS: Final = {"nginx": (), "direct": ("--direct",)}


@contextlib.contextmanager
def opened(folder: Path, kind: str, **settings: object) -> Iterator[Running]:
    """A registry of its own on `folder`/data, which is ready when the block begins. One worker is enough for a test."""
    running = configured(folder / "data", *_ARGUMENTS[kind], **({"workers": 1} | settings))
    running.data.mkdir(mode=0o700, exist_ok=True)
    users.put(running.data / "users.htpasswd", "admin", users.hash_password(running.password, _CHEAP))
    running.start()
    try:
        _await(running.port)
        yield running
    finally:
        for client in running.clients:
            client.close()
        running.stop()


def _await(port: int) -> None:
    deadline = time.monotonic() + READY_WITHIN
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert time.monotonic() < deadline, f"nothing listens on port {port}"
        time.sleep(0.05)


def user(running: Running, name: str, role: str = "", repositories: str = "*", **options: Any) -> httpx.Client:
    """A client of a new user, made as `pier users add` makes one but in a moment; without a role, the default one."""
    password = secrets.token_urlsafe(12)
    users.add(running.data / "users.htpasswd", name, users.hash_password(password, _CHEAP))
    if role:
        rights_file.set_entry(running.data / "rights.yaml", name, [rights_file.grant(role, [repositories])])
    return running.client(name, password, **options)


def basic(running: Running, user: str = "admin", password: str | None = None) -> str:
    """The header line that logs in."""
    credential = f"{user}:{password or running.password}".encode()
    return f"Authorization: Basic {base64.b64encode(credential).decode()}\r\n"


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer as it came; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Raw:
    """A TLS connection on which a test says exactly what it wants, malformed or not."""

    def __init__(self, running: Running) -> None:
        context = ssl.create_default_context(cafile=str(running.ca))
        plain = socket.create_connection(("127.0.0.1", running.port), timeout=60)
        self.socket = context.wrap_socket(plain, server_hostname="localhost")
        self._answers = self.socket.makefile("rb")

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *_: object) -> None:
        self._answers.close()
        self.socket.close()

    def say(self, *pieces: str | bytes) -> None:
        self.socket.sendall(b"".join(each.encode() if isinstance(each, str) else each for each in pieces))

    def ask(self, line: str, *headers: str, body: bytes = b"") -> Answer:
        """One request such as `GET /v1/_ping`; headers as whole lines that end in CRLF."""
        self.say(f"{line} HTTP/1.1\r\nHost: localhost\r\n", *headers, "\r\n", body)
        return self.answer(line.partition(" ")[0])

    def answer(self, method: str = "GET") -> Answer:
        """The next answer. Raises ConnectionError when there is none."""
        status = 100
        while status == 100:
            line = self._answers.readline()
            if not line:
                raise ConnectionError("the registry closed the connection without an answer")
            status = int(line.split()[1])
            headers = self._headers()
        length = 0 if method == "HEAD" or status in {204, 304} else int(headers.get("content-length", "-1"))
        return Answer(status, headers, self._answers.read(length) if length else b"")

    def closed(self) -> bool:
        """Whether nothing follows and the other side ended the connection, within ten seconds."""
        self.socket.settimeout(10)
        try:
            return self._answers.read(1) == b""
        except TimeoutError:
            return False
        except (ConnectionError, ssl.SSLError):
            return True

    def _headers(self) -> dict[str, str]:
        lines = b""
        while (line := self._answers.readline()) not in {b"\r\n", b""}:
            lines += line
        parsed = BytesParser().parsebytes(lines + b"\r\n")
        return {key.lower(): value for key, value in parsed.items()}
