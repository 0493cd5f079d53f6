"""The compiled client: built once for each version of its source, then fed one job after the other."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from tests.parts import cache

_SOURCE: Final = Path(__file__).with_name("client") / "main.go"


class Unexpected(Exception):
    """A request of the benchmark was answered otherwise than it must be, so its time means nothing."""


class Unprepared(Exception):
    """This machine lacks something that the benchmark needs."""


@dataclass(frozen=True, slots=True)
class Door:
    """An https server and what to say to it; without a user nothing is said."""

    url: str
    ca: Path
    user: str = ""
    password: str = ""

    def headers(self) -> dict[str, str]:
        if not self.user:
            return {}
        return {"Authorization": "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()}


@dataclass(frozen=True, slots=True)
class Answer:
    """Seconds for all requests of a job and for each; `size` bytes of all bodies; `tls` version and cipher."""

    seconds: float
    each: list[float]
    size: int
    tls: str


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
            "count": count,
            "clients": clients,
        }
        told = self._exchange(job)
        if told["error"] or told["statuses"] != {str(status): count}:
            raise Unexpected(f"{method} {path}: {told['error'] or told['statuses']}, not {status}: {told['text']}")
        return Answer(told["seconds"], told["each"], told["bytes"], told["tls"])

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
    with subprocess.Popen([_built()], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield Client(process.stdin, process.stdout)
        finally:
            process.kill()


def _built() -> Path:
    version = hashlib.sha256(_SOURCE.read_bytes()).hexdigest()[:16]
    return cache.made(f"bench-client-{version}", _build) / "client"


def _build(draft: Path) -> None:
    go = shutil.which("go", path=f"{cache.SYSTEM_PATH}:/usr/local/go/bin")
    if go is None:
        raise Unprepared("Go is not installed, and the benchmark's client is compiled with it: put go on the PATH")
    done = subprocess.run(
        [go, "build", "-trimpath", "-o", draft / "client", _SOURCE],
        cwd=_SOURCE.parent,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if done.returncode:
        raise Unprepared(f"the benchmark's client does not compile: {done.stderr}")
