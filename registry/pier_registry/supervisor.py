"""`pier serve` as a story: start the registry, which prepares its data first, then the front door; stop in reverse."""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Self

from pier_registry import child
from pier_registry.errors import Misconfigured
from pier_registry.proxy import configuration, runner
from pier_registry.settings import GRACE, Settings
from pier_registry.signals import Signals

RENEWAL = 3600.0  # seconds between two looks at the age of the certificate
_TICK = 0.2
_TICK_OF_A_START = 0.05
_START = 10.0  # seconds that are looked at so closely
_PATIENCE = 30.0  # seconds until a start that does not come forward is spoken of
_SPEAK_AFTER = 2.0  # seconds until a stop that waits is explained
_HURRIED = 10.0  # seconds that a child has after the second signal, before it is killed

_log = logging.getLogger("pier.serve")


class Mode(Enum):
    """How the registry is reached."""

    NGINX = "behind nginx"
    DIRECT = "https of its own"
    SOCKET = "the unix socket only"


@dataclass(frozen=True, slots=True)
class Part:
    """A running child; `hurry` cuts what a gentle SIGTERM waits for."""

    name: str
    process: subprocess.Popen[bytes]
    hurry: signal.Signals


class Supervisor:
    """Starts the parts of one registry on entry, watches them, and stops them in reverse order on exit."""

    def __init__(self, settings: Settings, mode: Mode, signals: Signals, counts: int | None = None) -> None:
        """`counts` is a descriptor of memory in which the registry counts its requests; without one it has its own."""
        self._settings = settings
        self._counts = [] if counts is None else [counts]
        self._mode = mode
        self._signals = signals
        self._parts: list[Part] = []

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def watch(self, when_listening: Callable[[], object], when_ready: Callable[[], object]) -> int:
        """Until a signal (0) or until a part ends by itself (1). Each is called once, when the registry is so far."""

        def listening() -> None:
            when_listening()
            self._open_front_door()

        waiting = Waiting(self._settings, self._mode, listening, when_ready)
        renewal = time.monotonic() + RENEWAL
        while not self._signals.wait(waiting.pause):
            if self._fallen():
                return 1
            waiting.look()
            if time.monotonic() >= renewal:
                renewal = time.monotonic() + RENEWAL
                self._renew()
        return 0

    def _start(self) -> None:
        self._settings.socket.unlink(missing_ok=True)  # of an earlier run that was killed
        command = [sys.executable, "-m", "pier_registry.serving"]
        if self._mode is Mode.DIRECT:
            command.append("--direct")
        if self._mode is not Mode.SOCKET:
            command.append("--certificate")
        for counts in self._counts:
            command += ["--counts", str(counts)]
        self._add("registry", command, hurry=signal.SIGQUIT, dies_by=signal.SIGQUIT)

    def _open_front_door(self) -> None:
        if self._mode is Mode.NGINX:
            # Killed, it takes nginx with it at once, and the port is free for the next start.
            command = [sys.executable, "-m", "pier_registry.proxy"]
            self._add("front door", command, hurry=signal.SIGTERM, dies_by=signal.SIGKILL)

    def _fallen(self) -> bool:
        fallen = [part for part in self._parts if part.process.poll() is not None]
        for part in fallen:
            code = part.process.returncode
            if code != child.REFUSED:
                _log.error(
                    "the %s ended by itself (exit code %s), so pier stops: the lines above tell why", part.name, code
                )
            child.kill(part.process)  # a master that was killed leaves workers behind
        return bool(fallen)

    def _add(self, name: str, command: list[str], *, hurry: signal.Signals, dies_by: signal.Signals) -> None:
        self._parts.append(Part(name, child.start(command, files=self._counts, dies_by=dies_by), hurry))

    def _renew(self) -> None:
        """A certificate that cannot be renewed now is tried again in an hour; the registry serves on."""
        if self._mode is Mode.SOCKET:
            return
        from pier_registry import pki  # its libraries are large

        try:
            pki.ensure(self._settings)
        except (Misconfigured, OSError) as wrong:
            _log.error("the certificate is not renewed: %s", wrong)

    def _stop(self) -> None:
        for part in reversed(self._parts):
            child.send(part.process, signal.SIGTERM)
            self._await(part)

    def _await(self, part: Part) -> None:
        """Gently; a second signal to pier, or ten minutes, cuts the transfers that still run."""
        begin = time.monotonic()
        spoken, hurried, deadline = False, False, begin + GRACE
        while part.process.poll() is None:
            late = time.monotonic() > deadline
            if hurried and late:
                child.kill(part.process)
            elif self._signals.wait(_TICK) or late:
                child.send(part.process, part.hurry)
                hurried, deadline = True, time.monotonic() + _HURRIED
            elif not spoken and time.monotonic() > begin + _SPEAK_AFTER:
                spoken = True
                _log.info("waiting for running transfers to end; another Ctrl-C cuts them")


class Waiting:
    """Asks /readyz, once the registry listens, until it answers 200."""

    def __init__(
        self, settings: Settings, mode: Mode, when_listening: Callable[[], object], when_ready: Callable[[], object]
    ) -> None:
        self._connect = _socket_connection(settings) if mode is Mode.SOCKET else _private_connection(settings)
        self._listens = _port_listens(settings) if mode is Mode.DIRECT else settings.socket.exists
        self._when_listening: Callable[[], object] | None = when_listening
        self._when_ready: Callable[[], object] | None = when_ready
        self._began = time.monotonic()
        self._complain = self._began + _PATIENCE

    @property
    def pause(self) -> float:
        """Seconds until the next look."""
        starting = self._when_ready is not None and time.monotonic() < self._began + _START
        return _TICK_OF_A_START if starting else _TICK

    def look(self) -> None:
        if self._when_ready is None:
            return
        amiss = self._ask()
        if not amiss:
            self._when_ready()
            self._when_ready = None
        elif time.monotonic() > self._complain:
            self._complain = float("inf")
            _log.warning("still not ready after %d seconds: %s", _PATIENCE, amiss)

    def _ask(self) -> str:
        """What is amiss; empty when the registry is ready."""
        if not self._listens():
            return "the registry does not listen yet"
        if self._when_listening is not None:
            self._when_listening()
            self._when_listening = None
        connection = self._connect()
        try:
            connection.request("GET", "/readyz", headers={"Host": "localhost", "X-Pier-Private": "1"})
            answer = connection.getresponse()
            text = answer.read(2000).decode("utf-8", "replace").strip()
        except (OSError, http.client.HTTPException) as wrong:
            return str(wrong) or type(wrong).__name__
        finally:
            connection.close()
        return "" if answer.status == http.HTTPStatus.OK else f"{answer.status} {text}"


Connect = Callable[[], http.client.HTTPConnection]


def _private_connection(settings: Settings) -> Connect:
    host = _own(settings.health_host)
    return lambda: http.client.HTTPConnection(host, settings.health_port, timeout=5)


def _port_listens(settings: Settings) -> Callable[[], bool]:
    def listens() -> bool:
        try:
            socket.create_connection((_own(settings.host), settings.port), timeout=5).close()
        except OSError:
            return False
        return True

    return listens


def _own(host: str) -> str:
    """Where this host reaches what listens on `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104


def _socket_connection(settings: Settings) -> Connect:
    return lambda: _SocketConnection(str(settings.socket.absolute()))


class _SocketConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=5)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(5)
        self.sock.connect(self._path)


@contextlib.contextmanager
def alone_on(settings: Settings) -> Iterator[None]:
    """Hold the data folder: a second `pier serve` on it raises Misconfigured. Freed by the kernel if we are killed."""
    # The folder holds passwords and everybody's images: nobody else looks in.
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    settings.run.mkdir(mode=0o700, exist_ok=True)
    with (settings.run / "serve.lock").open("a+", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise Misconfigured(
                f"pier serve runs on {settings.data} already (process {lock.read(20).strip() or 'unknown'}): "
                "stop it, or set PIER_DATA to another folder"
            ) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


def check_address(settings: Settings, mode: Mode) -> None:
    """Raises Misconfigured when a port is taken or the socket's path is too long."""
    if mode is not Mode.DIRECT:
        configuration.check_socket(settings)
    if mode is not Mode.SOCKET:
        runner.check_ports(settings)
