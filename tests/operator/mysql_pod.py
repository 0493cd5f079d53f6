"""The managed database's pod, run on this host as its manifest says: image, command, mounts, user, read-only root.

It has a network of its own, in which its Service's name is its own address.
"""

from __future__ import annotations

import contextlib
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
from tests.parts import roots

READY_WITHIN: Final = 60.0
# root of the image, home, user, hosts; the rest is the command. Every step is an exec, so the process is mysqld.
_CONTAINER: Final = """
image=$1 home=$2 user=$3; shift 3
ip link set lo up
mount --bind "$home/hosts" /etc/hosts
mount -t overlay overlay -o "lowerdir=$image,upperdir=$home/upper,workdir=$home/work" "$home/root"
for place in var/lib/mysql etc/pier/init etc/pier/tls run/mysqld tmp; do
    mkdir -p "$home/root/$place" "$home/mounts/$place"
    mount --bind "$home/mounts/$place" "$home/root/$place"
done
mount --bind /dev "$home/root/dev"
mount -t proc proc "$home/root/proc"
mount -o remount,ro "$home/root"
exec chroot --userspec="$user:$user" "$home/root" "$@"
"""


@dataclass(slots=True)
class MysqlPod:
    """`secrets` by name hold texts by key; a start takes what they hold then."""

    manifest: Manifest
    secrets: Mapping[str, Mapping[str, str]]
    home: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="mysql-pod-")))
    process: subprocess.Popen[bytes] | None = None

    @property
    def user(self) -> int:
        return int(self.manifest["spec"]["template"]["spec"]["securityContext"]["runAsUser"])

    @property
    def data(self) -> Path:
        return self.home / "mounts" / "var" / "lib" / "mysql"

    @property
    def log(self) -> Path:
        return self.home / "log"

    def start(self, *, wait: bool = True) -> None:
        self._lay_out()
        container = self._container()
        command = [*container["command"], *container["args"]]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                ["unshare", "--mount", "--net", "--propagation", "private", "sh", "-euc", _CONTAINER, "sh",
                 str(roots.mysql()), str(self.home), str(self.user), *command],
                env={**os.environ, **self._environment()},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )  # fmt: skip
        if wait:
            self.wait_until_ready()

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + READY_WITHIN
        while not self.is_ready():
            assert self.process
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the database's pod did not start:\n{self.log.read_text()[-4000:]}")
            time.sleep(0.1)

    def is_ready(self) -> bool:
        """What the pod's own readiness probe says."""
        probe = self._container()["readinessProbe"]["exec"]["command"]
        return self._inside("chroot", f"--userspec={self.user}:{self.user}", str(self.home / "root"), *probe) == 0

    def pier(self, *arguments: str, url: str) -> str:
        """The registry's command line, where the Service's name is known."""
        moved = url.replace("/etc/pier/database", str(self.home))
        environment = {**os.environ, "PIER_DATABASE_URL": moved, "PIER_DATA": str(self.home / "pier")}
        done = subprocess.run(
            [*self._entering(), sys.executable, "-m", "pier_registry", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return done.stdout if done.returncode == 0 else f"exit {done.returncode}: {done.stderr}"

    def kill(self) -> None:
        """All of it at once, as a container ends."""
        if self.process is None:
            return
        group = self.process.pid
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
        self.process.wait(timeout=60)
        self.process = None
        with contextlib.suppress(ProcessLookupError):
            for _ in range(600):
                os.killpg(group, 0)
                time.sleep(0.05)
            raise AssertionError("the killed database does not end")

    def stop(self) -> None:
        if self.process:
            self.process.terminate()
            self.process.wait(timeout=60)
            self.process = None

    def remove(self) -> None:
        self.kill()
        shutil.rmtree(self.home, ignore_errors=True)

    def _lay_out(self) -> None:
        for name in ("upper", "work"):
            shutil.rmtree(self.home / name, ignore_errors=True)
        for name in ("upper", "work", "root", "pier", "mounts/run/mysqld", "mounts/tmp", "mounts/var/lib/mysql"):
            (self.home / name).mkdir(parents=True, exist_ok=True)
            os.chown(self.home / name, self.user, self.user)
        os.chmod(self.home, 0o755)
        meta = self.manifest["metadata"]
        names = f"{meta['name']} {meta['name']}.{meta['namespace']}.svc"
        (self.home / "hosts").write_text(f"127.0.0.1 localhost {names}\n")
        for volume in self.manifest["spec"]["template"]["spec"]["volumes"]:
            if "secret" in volume:
                self._mount(volume["name"], self.secrets[volume["secret"]["secretName"]])
        (self.home / "ca.crt").write_text(self.secrets[f"{meta['name'].removesuffix('-mysql')}-db-url"]["ca.crt"])

    def _mount(self, volume: str, texts: Mapping[str, str]) -> None:
        """As a kubelet: owned by root, readable for the pod's group."""
        folder = self.home / "mounts" / "etc" / "pier" / volume
        folder.mkdir(parents=True, exist_ok=True)
        for key, text in texts.items():
            (folder / key).write_text(text)
            os.chown(folder / key, 0, self.user)
            os.chmod(folder / key, 0o440)

    def _container(self) -> Manifest:
        found: Manifest = self.manifest["spec"]["template"]["spec"]["containers"][0]
        return found

    def _environment(self) -> dict[str, str]:
        told = {}
        for each in self._container()["env"]:
            reference = each["valueFrom"]["secretKeyRef"]
            told[each["name"]] = self.secrets[reference["name"]][reference["key"]]
        return told

    def _entering(self) -> list[str]:
        assert self.process
        return ["nsenter", "--target", str(self.process.pid), "--mount", "--net"]

    def _inside(self, *command: str) -> int:
        done = subprocess.run(
            [*self._entering(), *command],
            env={**os.environ, **self._environment()},
            capture_output=True,
            timeout=30,
            check=False,
        )
        return done.returncode
