"""Run nginx: check its configuration, relay its access log, reload it when the certificate changes, stop it gently."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pier_registry import child
from pier_registry.errors import Misconfigured
from pier_registry.proxy import configuration
from pier_registry.proxy.configuration import Nginx
from pier_registry.settings import Settings
from pier_registry.signals import Signals

TICK = 0.4
_PAUSE = 0.02  # seconds between two looks for lines: one wake for each would cost as much as a small answer
_PIPE = 1 << 20  # bytes of lines that may wait; nginx would wait for more room

_log = logging.getLogger("pier.proxy")

Seen = tuple[tuple[int, int, int, int] | None, ...]


def run(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT (running transfers end first; a second signal cuts them); the exit code.

    Raises Misconfigured when nginx, the certificate or a port is not to be had.
    """
    check_ports(settings)
    door = Door.prepare(settings)
    refused = door.test()
    if refused:
        raise Misconfigured(f"nginx refuses its configuration or certificate: {refused}")
    signals = Signals.caught()
    nginx = child.start(door.command(), stdout=subprocess.PIPE)
    assert nginx.stdout is not None  # noqa: S101  narrows the type
    _widen(nginx.stdout)
    relay = threading.Thread(target=relay_lines, args=(nginx.stdout, sys.stdout.buffer), daemon=True)
    relay.start()
    stopped = _watch(door, nginx, signals)
    child.kill(nginx)  # workers of a master that was killed would go on, and hold the port
    relay.join(timeout=2)
    return _ended(nginx.returncode, stopped)


def _watch(door: Door, nginx: subprocess.Popen[bytes], signals: Signals) -> bool:
    """Until nginx ends; whether it was told to."""
    watcher = Watcher(door)
    told = 0
    while nginx.poll() is None:
        if signals.wait(TICK):
            told += 1
            child.send(nginx, signal.SIGQUIT if told == 1 else signal.SIGTERM)
        if told == 0 and watcher.changed_for_good():
            child.send(nginx, signal.SIGHUP)
    return told > 0


def _ended(code: int, stopped: bool) -> int:
    if stopped:
        return 0
    _log.error("nginx ended by itself with code %s: its lines above tell why", code)
    return 1


@dataclass(frozen=True, slots=True)
class Door:
    """A rendered configuration and the nginx that takes it."""

    nginx: Nginx
    configuration: Path
    certificates: Path

    @classmethod
    def prepare(cls, settings: Settings) -> Door:
        nginx = Nginx.find()
        certificates = settings.tls.absolute()
        for name in ("tls.crt", "tls.key"):
            if not (certificates / name).exists():
                raise Misconfigured(f"{certificates / name} is missing: put a certificate there, or run pier serve")
        return cls(nginx, configuration.write(settings, nginx), certificates)

    def command(self, *options: str) -> list[str]:
        """`-e stderr` keeps nginx from opening the log file that its build names."""
        folder = str(self.configuration.parent)
        return [self.nginx.program, "-e", "stderr", "-p", folder, "-c", str(self.configuration), *options]

    def test(self) -> str:
        """What nginx says against the configuration with today's certificate; empty when it would take it."""
        told = subprocess.run(self.command("-t", "-q"), capture_output=True, text=True, check=False, timeout=60)
        return "" if told.returncode == 0 else " ".join(told.stderr.split()) or f"exit code {told.returncode}"


class Watcher:
    """Tells when the certificate folder holds another pair that nginx would take."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._loaded = self._last = self._look()

    def changed_for_good(self) -> bool:
        """One look. A change counts once it has stood still for a look: two files are not replaced at once."""
        now = self._look()
        settled, self._last = now == self._last, now
        if not settled or now == self._loaded:
            return False
        self._loaded = now
        refused = self._door.test()
        if refused:
            _log.error(
                "the certificate in %s cannot be used, so the old one stays in force: put a tls.crt and the tls.key "
                "that belongs to it there (nginx says: %s)",
                self._door.certificates,
                refused,
            )
            return False
        _log.info("the certificate in %s changed: nginx takes the new one", self._door.certificates)
        return True

    def _look(self) -> Seen:
        return tuple(_stat(self._door.certificates / name) for name in ("tls.crt", "tls.key"))


def _stat(path: Path) -> tuple[int, int, int, int] | None:
    """Of the file behind every symbolic link: Kubernetes swaps a link to a folder."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size


def _widen(pipe: IO[bytes]) -> None:
    with contextlib.suppress(OSError, AttributeError):  # more than an ordinary user may have, or no Linux
        fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, _PIPE)


def relay_lines(source: IO[bytes], target: IO[bytes]) -> None:
    """Copy lines until the source ends, each as valid UTF-8; a target that is gone must not make nginx wait."""
    begun = b""
    while block := os.read(source.fileno(), _PIPE):
        whole, end, rest = (begun + block).rpartition(b"\n")
        begun = rest
        _write(target, whole + end)
        time.sleep(_PAUSE)
    _write(target, begun)


def _write(target: IO[bytes], lines: bytes) -> None:
    with contextlib.suppress(OSError, ValueError):
        target.write(lines.decode("utf-8", "replace").encode())
        target.flush()


def check_ports(settings: Settings) -> None:
    """Raises Misconfigured, naming the setting, when a port cannot be listened on."""
    check_port("PIER_PORT", settings.host, settings.port)
    if settings.plain_port:
        check_port("PIER_PLAIN_PORT", settings.host, settings.plain_port)
    check_port("PIER_HEALTH_PORT", settings.health_host, settings.health_port)


def check_port(setting: str, host: str, port: int) -> None:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as wrong:
        raise Misconfigured(
            f"port {port} on {host} cannot be listened on ({wrong.strerror or wrong}): "
            f"stop the program that has it, or set {setting} to another port"
        ) from None
