"""What runs in a registry's pod, run on this host: registry and nginx, on the Service's own address.

Their environment is that of the pod's containers; only folders, addresses and the database are this host's.
"""

from __future__ import annotations

import base64
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx

from pier_operator import api
from pier_operator.api import Manifest
from pier_operator.kube import Kube

READY_WITHIN: Final = 40.0
_SECRETS: Final = api.KINDS["Secret"]


@dataclass(slots=True)
class ServingPod:
    """One pod, that follows its Secrets when it is told to."""

    kube: Kube
    pod: Manifest
    address: str
    service: str
    home: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="pod-")))
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self) -> None:
        self._prepare()
        self.follow()
        self._spawn("registry", "-m", "pier_registry", "serve", "--no-proxy")
        deadline = time.monotonic() + READY_WITHIN
        while b"Pier is ready" not in (self.home / "registry.log").read_bytes():
            self._alive(deadline)
        self._spawn("proxy", "-m", "pier_registry.proxy")
        while not self._is_ready():
            self._alive(deadline)

    def stop(self) -> None:
        for process in reversed(self.processes):
            process.send_signal(signal.SIGTERM)
        for process in reversed(self.processes):
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.home, ignore_errors=True)

    def follow(self) -> None:
        """Write the mounted Secrets anew, as a kubelet does."""
        for volume in self.pod["spec"]["volumes"]:
            if volume["name"] in {"users", "tls"}:
                self._write(volume["secret"]["secretName"], self._folder(volume["name"]))

    def _prepare(self) -> None:
        """As the init container, whose own script runs on this pod's folders."""
        for name in ("data/run", "etc/pier/users"):
            (self.home / name).mkdir(parents=True)
        script = self.pod["spec"]["initContainers"][0]["command"][-1]
        moved = script.replace("/data", f"{self.home}/data").replace("/etc/pier", f"{self.home}/etc/pier")
        subprocess.run(["sh", "-c", moved], check=True, timeout=20)

    def _folder(self, volume: str) -> Path:
        return self.home / ("etc/pier/users" if volume == "users" else "data/tls")

    def _write(self, name: str, folder: Path) -> None:
        secret = self.kube.get(_SECRETS, self.pod["metadata"]["namespace"], name)
        assert secret, name
        for key, value in secret["data"].items():
            draft = folder / f".{key}"
            draft.write_bytes(base64.b64decode(value))
            os.replace(draft, folder / key)

    def _spawn(self, container: str, *arguments: str) -> None:
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("PIER_")}
        with (self.home / f"{container}.log").open("ab") as log:
            self.processes.append(
                subprocess.Popen(
                    [sys.executable, *arguments],
                    env=inherited | self._environment(container),
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
            )

    def _environment(self, container: str) -> dict[str, str]:
        found = next(each for each in self.pod["spec"]["containers"] if each["name"] == container)
        values = {each["name"]: each["value"] for each in found["env"] if "value" in each}
        here = {"PIER_DATA": str(self.home / "data"), "PIER_HOST": self.service, "PIER_PORT": "443"}
        return values | here | {"PIER_HEALTH_HOST": self.address}

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"http://{self.address}:9090/readyz", timeout=2).status_code == 200
        except httpx.TransportError:
            return False

    def _alive(self, deadline: float) -> None:
        if time.monotonic() > deadline or any(process.poll() is not None for process in self.processes):
            logs = "".join(path.read_text()[-3000:] for path in self.home.glob("*.log"))
            raise AssertionError(f"the pod did not start:\n{logs}")
        time.sleep(0.05)
