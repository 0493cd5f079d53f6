"""A machine of its own on this host: processes, mounts and network that end with its first process.

Nothing of it is left on the host then but its folder and its control groups, and `remove` takes these. It has the
addresses of a network of 256, of which the host holds the first.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.house.pages import ROOT
from tests.parts import cache, claims

_FIRST: Final = Path(__file__).with_name("machine.sh")
_NETWORKS: Final = range(64, 128)  # 198.18.0.0/15 is for benchmarks: no real network has it
_GROUPS: Final = Path("/sys/fs/cgroup")


@dataclass(slots=True)
class Machine:
    """`number` is that of its network. `home` holds all of it; `boot` may be called again after `power_off`."""

    home: Path
    number: int
    first: int = 0  # the process id of its first process; 0 while it is off
    _outer: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        return f"pier-node-{self.number}"

    @property
    def address(self) -> str:
        return f"198.18.{self.number}.2"

    @property
    def host(self) -> str:
        """This host, as the machine sees it."""
        return f"198.18.{self.number}.1"

    @property
    def is_on(self) -> bool:
        return bool(self.first) and _lives(self.first)

    def boot(self, *program: str) -> None:
        """Start `program` as its first process; it sees its network once it runs."""
        for name in ("root", "disk"):
            (self.home / name).mkdir(parents=True, exist_ok=True)
        (self.home / "hosts").touch()
        seen = (self.home, ROOT, cache.entry("").resolve(), Path(sys.base_prefix))
        (self.home / "visible").write_text("".join(f"{place}\n" for place in seen))
        namespaces = ("--fork", "--pid", "--mount", "--net", "--uts", "--ipc", "--propagation", "private")
        command = ["unshare", *namespaces, "sh", str(_FIRST), str(self.home), self.name, *program]
        with (self.home / "machine.log").open("ab") as log:
            self._outer = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self.first = _child(self._outer)
        self._connect()

    def power_off(self) -> None:
        """As a cut cable: nothing is stopped, everything ends."""
        if not self.first:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.first, signal.SIGKILL)
        deadline = time.monotonic() + 60
        while self.is_on:
            if time.monotonic() > deadline:
                raise AssertionError(f"{self.name} does not end")
            time.sleep(0.05)
        if self._outer:
            self._outer.wait()
        self.first = 0

    def remove(self) -> None:
        self.power_off()
        _ip("link", "delete", self.link, check=False)
        for controller in [_GROUPS, *_GROUPS.iterdir()]:
            _remove_group(controller / self.name)
        shutil.rmtree(self.home)

    @property
    def link(self) -> str:
        return f"pier{self.number}"

    def run(self, *command: str, stdin: bytes | None = None, timeout: float = 300) -> str:
        """Run a program in the machine. Raises AssertionError with what it says when it fails."""
        done = subprocess.run(
            [*self.entering, *command], input=stdin, capture_output=True, timeout=timeout, check=False, cwd="/"
        )
        if done.returncode:
            said = (done.stdout + done.stderr).decode(errors="replace")
            raise AssertionError(f"{' '.join(command)}: exit {done.returncode}\n{said}")
        return done.stdout.decode()

    @property
    def entering(self) -> list[str]:
        return ["nsenter", "--target", str(self.first), "--mount", "--net", "--pid", "--uts", "--ipc", "--"]

    def _connect(self) -> None:
        _ip("link", "delete", self.link, check=False)
        _ip("link", "add", self.link, "type", "veth", "peer", "name", "eth0", "netns", str(self.first))
        _ip("address", "add", f"{self.host}/25", "dev", self.link)
        _ip("link", "set", self.link, "up")
        inside = ["nsenter", "--target", str(self.first), "--net", "--", cache.program("ip")]
        for arguments in (
            ["link", "set", "lo", "up"],
            ["address", "add", f"{self.address}/25", "dev", "eth0"],
            ["link", "set", "eth0", "up"],
            ["route", "add", "default", "via", self.host],
        ):
            subprocess.run([*inside, *arguments], check=True)
        _ip("route", "add", f"198.18.{self.number}.128/25", "via", self.address)


def balanced(address: str) -> list[str]:
    """Addresses that lead to the machine of this address too, for Services of type LoadBalancer."""
    return [f"{address.rpartition('.')[0]}.{last}" for last in range(129, 255)]


def free_number() -> int:
    """Of a network that this host has no route to and no other process is about to make. Raises AssertionError."""
    routes = _ip("-4", "route")
    for number in _NETWORKS:
        if f"198.18.{number}." not in routes and claims.claim(f"pier-network-{number}"):
            return number
    raise AssertionError("all networks of machines are in use")


def _child(outer: subprocess.Popen[bytes]) -> int:
    """The process that `unshare` has forked, once it has its own name, so its namespaces too."""
    children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children")
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and outer.poll() is None:
        found = children.read_text().split()
        if found:
            return int(found[0])
        time.sleep(0.01)
    raise AssertionError("unshare started nothing: are you root?")


def _lives(first: int) -> bool:
    """The first process of a namespace ends last: the kernel has it wait for all others."""
    try:
        return Path(f"/proc/{first}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _remove_group(group: Path) -> None:
    if group.is_dir():
        for inner in group.iterdir():
            _remove_group(inner)
        group.rmdir()


def _ip(*arguments: str, check: bool = True) -> str:
    done = subprocess.run([cache.program("ip"), *arguments], capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise AssertionError(f"ip {' '.join(arguments)}: {done.stderr}")
    return done.stdout
