"""A database server of one's own: data folder, socket, port and password made for it, and gone with it."""

from __future__ import annotations

import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pymysql

USER: Final = "pier"
READY_WITHIN: Final = 60.0

# Small buffers for a small machine, and every commit on the disk before it is answered.
FRUGAL: Final = (
    "--innodb-buffer-pool-size=64M",
    "--performance-schema=OFF",
    "--innodb-flush-log-at-trx-commit=1",
    "--bind-address=127.0.0.1",
)


@dataclass(slots=True)
class DatabaseServer:
    """`home` holds `data`, `server.sock`, `first.sql` and `server.log`. Listens on the socket and on 127.0.0.1."""

    home: Path
    command: Sequence[str]
    port: int
    password: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    process: subprocess.Popen[bytes] | None = None

    @property
    def socket(self) -> Path:
        return self.home / "server.sock"

    @property
    def log(self) -> Path:
        return self.home / "server.log"

    def url(self, database: str) -> str:
        """For SQLAlchemy, by unix socket."""
        return f"mysql+pymysql://{USER}:{self.password}@localhost/{database}?unix_socket={self.socket}"

    def tcp_url(self, database: str) -> str:
        """For SQLAlchemy, by 127.0.0.1."""
        return f"mysql+pymysql://{USER}:{self.password}@127.0.0.1:{self.port}/{database}"

    def create_database(self, name: str) -> str:
        """An empty database; returns its URL."""
        self.execute(f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4")
        return self.url(name)

    def drop_database(self, name: str) -> None:
        self.execute(f"DROP DATABASE IF EXISTS `{name}`")

    def execute(self, statement: str) -> tuple[tuple[Any, ...], ...]:
        """Run one statement with every right; returns its rows."""
        with self._connect() as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return tuple(cursor.fetchall())

    def start(self) -> None:
        """Returns when it answers. Raises AssertionError with the server's last words when it does not."""
        # A socket left by a killed server would refuse, and the next one makes its own.
        self.socket.unlink(missing_ok=True)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + READY_WITHIN
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise AssertionError(f"the database server did not start:\n{self.log.read_text()[-4000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Gently; nothing happens when it does not run."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.kill()
        self.process = None

    def kill(self) -> None:
        """As a power cut would."""
        if self.process is None:
            return
        self.process.kill()
        self.process.wait()
        self.process = None

    def restart(self) -> None:
        """On the same data, socket, port and password; also after `kill`."""
        self.stop()
        self.start()

    def _connect(self) -> pymysql.Connection[Any]:
        return pymysql.connect(
            unix_socket=str(self.socket), user=USER, password=self.password, autocommit=True, connect_timeout=10
        )

    def _answers(self) -> bool:
        """Asks the socket first: the driver leaves its own open when nobody listens."""
        try:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(str(self.socket))
            self._connect().close()
        except (OSError, pymysql.Error):
            return False
        return True


@contextmanager
def served(server: DatabaseServer, template: Path, owner: int) -> Iterator[DatabaseServer]:
    """Run `server` on a copy of `template`, an initialised data folder, as user id `owner`."""
    try:
        subprocess.run(["cp", "-a", template / "data", server.home / "data"], check=True, timeout=60)
        (server.home / "tmp").mkdir()
        (server.home / "first.sql").write_text(_first_statements(server.password), encoding="ascii")
        for place in (server.home, server.home / "tmp", server.home / "first.sql"):
            shutil.chown(place, owner)
        server.start()
        yield server
    finally:
        server.kill()
        shutil.rmtree(server.home, ignore_errors=True)


def new_home(kind: str) -> Path:
    """Short, because a socket's path may have about 100 bytes."""
    return Path(tempfile.mkdtemp(prefix=f"pier-{kind}-"))


def options(home: Path | str, port: int) -> list[str]:
    """What both kinds of server take; `home` as the server sees it."""
    places = {
        "datadir": "data",
        "socket": "server.sock",
        "pid-file": "server.pid",
        "tmpdir": "tmp",
        "init-file": "first.sql",
    }
    return [*(f"--{key}={home}/{name}" for key, name in places.items()), f"--port={port}", *FRUGAL]


def _first_statements(password: str) -> str:
    """Run by the server at every start, before anybody can connect."""
    return (
        f"CREATE USER IF NOT EXISTS '{USER}'@'%' IDENTIFIED BY '{password}';\n"
        f"GRANT ALL PRIVILEGES ON *.* TO '{USER}'@'%' WITH GRANT OPTION;\n"
        f"ALTER USER 'root'@'localhost' IDENTIFIED BY '{password}';\n"
    )
