"""A container of the registry's image, run as the manual says: hardened, with a volume and a published port."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

import httpx

from tests.parts.docker_engine import DockerEngine
from tests.parts.ports import free_port

IMAGE: Final = "pier-registry"
HARDENED: Final = (
    "--read-only",
    "--tmpfs=/tmp",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
)
READY: Final = "Pier is ready"
_READY_WITHIN: Final = 60.0
_NAMES: Final = count(1)


@dataclass(frozen=True, slots=True)
class Container:
    """`address` is `host:port` where clients find it; its certificate answers to that host."""

    engine: DockerEngine
    name: str
    address: str = ""

    @property
    def log(self) -> str:
        """Both outputs."""
        done = self.engine.attempt("logs", self.name)
        return done.stdout + done.stderr

    def exec(self, *command: str, options: tuple[str, ...] = ()) -> str:
        return self.engine.run("exec", *options, self.name, *command)

    def inspect(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.engine.run("inspect", self.name))[0]
        return found

    def wait_for(self, text: str = READY) -> None:
        """Until the log says so. Raises AssertionError with the log when it ends, or is late."""
        deadline = time.monotonic() + _READY_WITHIN
        while text not in self.log:
            if not self.inspect()["State"]["Running"] or time.monotonic() > deadline:
                raise AssertionError(f"{self.name} did not say {text!r}:\n{self.log}")
            time.sleep(0.1)

    def stop(self, grace: int = 10) -> int:
        """As `docker stop`; the exit code."""
        self.engine.run("stop", "--time", str(grace), self.name)
        return self.exit_code()

    def exit_code(self) -> int:
        code: int = self.inspect()["State"]["ExitCode"]
        return code

    def remove(self) -> None:
        """Killed, and its nameless volumes with it."""
        self.engine.run("rm", "--force", "--volumes", self.name)

    def password(self) -> str:
        return self.exec("cat", "/data/admin-password")

    def authority(self) -> str:
        """The CA's certificate, in PEM."""
        return self.exec("cat", "/data/tls/ca.crt")

    def client(self) -> httpx.Client:
        """Of admin; it trusts nothing but the printed CA."""
        trusting = ssl.create_default_context(cadata=self.authority())
        login = ("admin", self.password())
        return httpx.Client(base_url=f"https://{self.address}", verify=trusting, auth=login, timeout=60)


def new_name() -> str:
    return f"pier-{next(_NAMES)}"


@contextmanager
def started(
    engine: DockerEngine, *options: str, command: tuple[str, ...] = (), address: str = ""
) -> Iterator[Container]:
    """`docker run` with these options until the end of the block; not ready yet."""
    container = Container(engine, new_name(), address)
    try:
        engine.run("run", "--detach", f"--name={container.name}", *options, IMAGE, *command)
        yield container
    finally:
        engine.attempt("rm", "--force", "--volumes", container.name)


@contextmanager
def published(engine: DockerEngine, host: str, *options: str) -> Iterator[Container]:
    """A hardened one that serves on a port of `host`, ready."""
    address = f"{host}:{free_port()}"
    reached = (f"--publish={address}:5443", f"--env=PIER_PUBLIC_URL=https://{address}")
    with started(engine, *HARDENED, *reached, *options, address=address) as container:
        container.wait_for()
        yield container


@contextmanager
def volume(engine: DockerEngine) -> Iterator[str]:
    """The name of a volume that is gone after the block."""
    name = new_name()
    engine.run("volume", "create", name)
    try:
        yield name
    finally:
        engine.run("volume", "rm", "--force", name)
