"""A shell as the manuals' lines want it: kubectl means the cluster, and a namespace of it."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.cluster.cluster import Cluster
from tests.parts.kubernetes_programs import program
from tests.parts.ports import free_port

_OPEN_WITHIN: Final = 20.0


@dataclass(frozen=True, slots=True)
class Shell:
    """Lines run in `home`, where what they write stays."""

    home: Path

    @classmethod
    def at(cls, cluster: Cluster, namespace: str, home: Path) -> Shell:
        made = cls(home)
        (home / "bin").mkdir()
        (home / "bin" / "kubectl").symlink_to(program("kubectl"))
        (home / "kubeconfig").write_text(cluster.kubectl("config", "view", "--raw", "--flatten"))
        made.enter(namespace)
        return made

    def enter(self, namespace: str) -> None:
        self.run(f"kubectl config set-context --current --namespace {namespace}")

    def run(self, lines: str) -> str:
        """What they print. Raises AssertionError with all that they say when one fails."""
        done = subprocess.run(
            ["sh", "-euc", lines],
            cwd=self.home,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, f"{lines}\n{done.stdout}{done.stderr}"
        return done.stdout

    @contextmanager
    def forwarded(self, service: str) -> Iterator[str]:
        """An address of this host that leads to the Service's port 443, on any cluster."""
        port = free_port()
        command = ["kubectl", "port-forward", f"service/{service}", f"{port}:443"]
        log = self.home / "forwarded.log"
        with log.open("w") as said:
            process = subprocess.Popen(command, cwd=self.home, env=self._environment, stdout=said, stderr=said)
        try:
            deadline = time.monotonic() + _OPEN_WITHIN
            while "Forwarding from" not in log.read_text():
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.05)
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()

    @property
    def _environment(self) -> dict[str, str]:
        own = {"KUBECONFIG": str(self.home / "kubeconfig"), "HOME": str(self.home)}
        return {**os.environ, **own, "PATH": f"{self.home / 'bin'}:{os.environ['PATH']}"}
