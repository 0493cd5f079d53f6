"""A registry's pods on this host, as far as a backup is concerned: the real MySQL pod, and the registry beside it.

`kubectl exec` is played: what it would run in a container runs in that container's network, mounts and environment.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pier_operator.api import Manifest
from tests.operator.mysql_pod import MysqlPod

PORT: Final = 5443
_PASSWORD: Final = "the-password-of-admin"
_READY_WITHIN: Final = 40.0


@dataclass(slots=True)
class Site:
    """One registry. Its data folder stands for /data, and the network of its MySQL for the cluster's."""

    mysql: MysqlPod
    url: str
    home: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="pier-site-")))
    process: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        return self.home / "data"

    def start(self, **settings: str) -> None:
        self.mysql.start()
        self.data.mkdir()
        migrated = self.registry("pier migrate")
        assert migrated.returncode == 0, migrated.stderr
        with (self.home / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*self._entering(), sys.executable, "-m", "pier_registry", "serve", "--direct"],
                env={**self._environment(), **settings},
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + _READY_WITHIN
        while b"Pier is ready" not in (self.home / "log").read_bytes():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the registry did not start:\n{(self.home / 'log').read_text()[-4000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(timeout=30)
        self.mysql.remove()
        shutil.rmtree(self.home)

    def database(self, *command: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """In container mysql of pod first-mysql-0."""
        user, root = self.mysql.user, self.mysql.home / "root"
        inside = ["chroot", f"--userspec={user}:{user}", str(root), *command]
        return self._ran(inside, stdin, {**os.environ, **self.mysql._environment()})

    def registry(self, line: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """In container registry of Deployment first."""
        moved = line.replace("/data", str(self.data))
        return self._ran(["sh", "-euc", moved], stdin, self._environment())

    def skopeo(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        """A client in the cluster's network, which trusts the registry's CA and is admin."""
        credentials = [f"--{side}-creds=admin:{_PASSWORD}" for side in _sides(arguments)]
        trusting = [f"--{side}-cert-dir={self._trusted()}" for side in _sides(arguments)]
        command = ["skopeo", "--insecure-policy", "copy", *credentials, *trusting, *arguments]
        return self._ran(command, b"", dict(os.environ))

    def _ran(
        self, command: list[str], stdin: bytes, environment: Mapping[str, str]
    ) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [*self._entering(), *command], input=stdin, env=environment, capture_output=True, timeout=120, check=False
        )

    def _entering(self) -> list[str]:
        return self.mysql._entering()

    def _environment(self) -> dict[str, str]:
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("PIER_")}
        own = {
            "PIER_DATA": str(self.data),
            "PIER_DATABASE_URL": self.url.replace("/etc/pier/database", str(self.mysql.home)),
            "PIER_HOST": "127.0.0.1",
            "PIER_PORT": str(PORT),
            "PIER_ADMIN_PASSWORD": _PASSWORD,
            "PATH": f"{self._commands()}:{os.environ['PATH']}",
        }
        return inherited | own

    def _trusted(self) -> Path:
        """The CA alone: beside a key, a client looks for a certificate of its own."""
        folder = self.home / "trusted"
        folder.mkdir(exist_ok=True)
        shutil.copy(self.data / "tls" / "ca.crt", folder)
        return folder

    def _commands(self) -> Path:
        """Where `pier` is, as in the image."""
        folder = self.home / "bin"
        if not folder.exists():
            folder.mkdir()
            (folder / "pier").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m pier_registry "$@"\n')
            (folder / "pier").chmod(0o755)
        return folder


def _sides(arguments: tuple[str, ...]) -> list[str]:
    """Which of source and destination is a registry."""
    return [side for side, place in zip(("src", "dest"), arguments, strict=True) if place.startswith("docker://")]


def site(children: list[Manifest], secrets: Mapping[str, Mapping[str, str]]) -> Site:
    """As planned, not started yet."""
    (database,) = [each for each in children if each["kind"] == "StatefulSet"]
    return Site(MysqlPod(database, secrets), secrets["pier-db-url"]["url"])
