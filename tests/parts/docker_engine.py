"""A Docker engine of one's own: `dockerd` of Debian's docker.io, started by hand, with everything in one folder.

It runs in a mount namespace that ends with it, where `/etc/docker` is a folder of its own too, and `/etc/hosts` a file.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final

from tests.parts import cache
from tests.parts.docker_network import host_rules_kept

READY_WITHIN: Final = 60.0
# Debian's client fits its engine; the first on the PATH may be newer.
CLI: Final = "/usr/bin/docker"
_INSIDE: Final = 'mount --bind "$1/etc" /etc/docker; mount --bind "$1/hosts" /etc/hosts; shift; exec "$@"'
_OF_THE_HOST: Final = re.compile("WARNING: (IPv4|IPv6) forwarding is disabled")
# The default bridge and its rules would stay behind on the host.
ALONE: Final = ("--iptables=false", "--ip-forward=false", "--bridge=none")


@dataclass(slots=True)
class DockerEngine:
    """`home` holds `data`, `run`, `etc`, `hosts`, `client`, `docker.sock` and `engine.log`."""

    home: Path
    cli: str
    flags: tuple[str, ...] = ()
    driver: str = "overlay2"
    fallback: str = "vfs"
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def log(self) -> Path:
        return self.home / "engine.log"

    @property
    def environment(self) -> Mapping[str, str]:
        """What any Docker client needs to talk to this engine. Logins go to a folder of its own."""
        own = {
            "DOCKER_HOST": f"unix://{self.home}/docker.sock",
            "DOCKER_CONFIG": str(self.home / "client"),
            "DOCKER_BUILDKIT": "0",
            "PATH": cache.SYSTEM_PATH,
        }
        return {key: value for key, value in os.environ.items() if not key.startswith("DOCKER_")} | own

    def run(self, *arguments: str, stdin: str | None = None) -> str:
        """Run the docker command line; its standard output without blanks around.

        Raises AssertionError with both outputs when it exits with anything but 0.
        """
        done = self.attempt(*arguments, stdin=stdin)
        if done.returncode:
            told = f"{done.stdout}{done.stderr}"
            raise AssertionError(f"docker {' '.join(arguments)}: exit {done.returncode}\n{told}")
        return done.stdout.strip()

    def attempt(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """As `run`, for a command that may fail; what docker says of this host on standard error is left out."""
        done = subprocess.run(
            [self.cli, *arguments],
            env=self.environment,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        done.stderr = "".join(line for line in done.stderr.splitlines(keepends=True) if not _OF_THE_HOST.match(line))
        return done

    def trust(self, registry: str, ca: Path) -> None:
        """Have the engine believe certificates of `registry` (`host:port`) that this CA has signed."""
        place = self.home / "etc" / "certs.d" / registry
        place.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ca, place / "ca.crt")

    def start(self) -> None:
        """With the fallback, which works on any file system, if need be. Raises AssertionError with the log's end."""
        if not self._comes_up():
            self.driver = self.fallback
            if not self._comes_up():
                raise AssertionError(f"dockerd did not start:\n{self.log.read_text()[-4000:]}")

    def stop(self) -> None:
        """Gently, so that it ends its containers; nothing happens when it does not run."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def _comes_up(self) -> bool:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self._command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + READY_WITHIN
        while self.attempt("version").returncode:
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                return False
            time.sleep(0.1)
        return True

    def _command(self) -> list[str]:
        """Every step is an exec, so the process that is started becomes the engine."""
        namespace = ["unshare", "--mount", "--propagation", "private", "sh", "-euc", _INSIDE, "sh"]
        places = {"data-root": "data", "exec-root": "run", "pidfile": "engine.pid"}
        return [
            *namespace,
            str(self.home),
            cache.program("dockerd"),
            f"--host=unix://{self.home}/docker.sock",
            *(f"--{key}={self.home / name}" for key, name in places.items()),
            f"--storage-driver={self.driver}",
            *self.flags,
        ]


@contextmanager
def running(
    *flags: str, networks: bool = False, cli: str = CLI, hosts: Mapping[str, str] = MappingProxyType({})
) -> Iterator[DockerEngine]:
    """An empty engine with these further `dockerd` flags until the end of the block. Raises PartMissing.

    Without `networks`, containers have `--network none` or `--network host`; with them the default bridge works, and
    the host's rules are as before when the block ends. It finds `hosts` at these addresses.
    """
    client = cache.program(cli)
    engine = DockerEngine(new_home(), client, flags if networks else (*ALONE, *flags))
    with (engine.home / "hosts").open("a", encoding="utf-8") as known:
        known.writelines(f"{address} {name}\n" for name, address in hosts.items())
    with served(engine, networks):
        yield engine


@contextmanager
def served(engine: DockerEngine, networks: bool) -> Iterator[None]:
    """The engine runs within the block, and its home is gone afterwards."""
    try:
        with host_rules_kept() if networks else nullcontext():
            try:
                engine.start()
                yield
            finally:
                engine.stop()
    finally:
        shutil.rmtree(engine.home)


def new_home() -> Path:
    """Short, because a socket's path may have about 100 bytes."""
    home = Path(tempfile.mkdtemp(prefix="pier-docker-"))
    for name in ("etc", "client"):
        (home / name).mkdir()
    shutil.copyfile("/etc/hosts", home / "hosts")
    return home
