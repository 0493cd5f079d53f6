"""The compiled client: fed one job after the other, it keeps its connections between them."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from bench import programs


class Unexpected(Exception):
    """A request of the benchmark was answered otherwise than it must be, so its time means nothing."""


@dataclass(frozen=True, slots=True)
class Door:
    """An https server and how to speak to it; without a user nothing is said of one."""

    url: str
    ca: Path
    user: str = ""
    password: str = ""
    http2: bool = False

    def headers(self) -> dict[str, str]:
        if not self.user:
            return {}
        return {"Authorization": "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()}


@dataclass(frozen=True, slots=True)
class Answer:
    """Seconds for all requests of a job and for each; `size` bytes of all bodies; `tls` version and cipher.

    `location` is that of the last answer, as a path where it is on the same server.
    """

    seconds: float
    each: list[float]
    size: int
    tls: str
    location: str


class Client:
    """One process for the whole run; it keeps its connections, so only first requests pay for a handshake."""

    def __init__(self, jobs: IO[str], answers: IO[str]) -> None:
        self._jobs = jobs
        self._answers = answers

    def ask(
        self,
        door: Door,
        method: str,
        path: str,
        *,
        body: str = "",
        file: Path | None = None,
        plain: bool = False,
        count: int = 1,
        clients: int = 1,
        headers: dict[str, str] | None = None,
        status: int = 200,
    ) -> Answer:
        """`count` equal requests, `clients` at a time; a file goes in chunks unless `plain`.

        Raises Unexpected unless each is answered with `status`.
        """
        job = {
            "method": method,
            "url": door.url + path,
            "ca": str(door.ca),
            "headers": door.headers() | (headers or {}),
            "body": body,
            "file": str(file or ""),
            "plain": plain,
            "http2": door.http2,
            "count": count,
            "clients": clients,
        }
        told = self._exchange(job)
        if told["error"] or told["statuses"] != {str(status): count}:
            raise Unexpected(f"{method} {path}: {told['error'] or told['statuses']}, not {status}: {told['text']}")
        if door.http2 != (told["protocol"] == "HTTP/2.0"):
            raise Unexpected(f"{method} {path}: answered over {told['protocol']}")
        location = told["location"].removeprefix(door.url)
        return Answer(told["seconds"], told["each"], told["bytes"], told["tls"], location)

    def _exchange(self, job: dict[str, object]) -> dict[str, Any]:
        self._jobs.write(json.dumps(job) + "\n")
        self._jobs.flush()
        line = self._answers.readline()
        if not line:
            raise Unexpected("the client ended by itself: the lines above tell why")
        told: dict[str, Any] = json.loads(line)
        return told


@contextmanager
def running() -> Iterator[Client]:
    """A client until the end of the block. Raises Unprepared without Go."""
    with subprocess.Popen(
        [programs.built("client")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield Client(process.stdin, process.stdout)
        finally:
            process.kill()
