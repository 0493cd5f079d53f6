"""The MariaDB server of this machine, run on a data folder of its own."""

from __future__ import annotations

import getpass
import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.parts import cache, database
from tests.parts.database import DatabaseServer
from tests.parts.ports import free_port

# As initialised: another size would be made anew at each start.
_LOG: Final = "--innodb-log-file-size=16M"


@contextmanager
def running(*options: str) -> Iterator[DatabaseServer]:
    """A server with these further options until the end of the block. Raises PartMissing."""
    template = data_folder()
    home, port = database.new_home("mariadb"), free_port()
    command = [cache.program("mariadbd"), "--no-defaults", *_as_user(), *database.options(home, port), _LOG, *options]
    with database.served(DatabaseServer(home, command, port), template, _owner()) as server:
        yield server


def data_folder() -> Path:
    """An initialised, empty data folder below the cache, in `data`. Raises PartMissing."""
    return cache.made(f"mariadb-data-{version()}", _initialise)


def version() -> str:
    told = subprocess.run([cache.program("mariadbd"), "--version"], capture_output=True, text=True, check=True).stdout
    match = re.search(r"Ver (\S+)", told)
    assert match, told
    return match[1]


def _initialise(draft: Path) -> None:
    """Elsewhere first: the server's user may not enter root's own cache."""
    home = database.new_home("mariadb")
    try:
        if os.geteuid() == 0:
            os.chown(home, _owner(), -1)
        _install(home / "data")
        subprocess.run(["cp", "-a", home / "data", draft / "data"], check=True, timeout=60)
    finally:
        shutil.rmtree(home)


def _install(data: Path) -> None:
    empty = ("--skip-test-db", "--skip-name-resolve", "--auth-root-authentication-method=normal")
    install = [cache.program("mariadb-install-db"), "--no-defaults", *_as_user(), f"--datadir={data}", *empty, _LOG]
    done = subprocess.run(install, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        raise AssertionError(f"mariadb-install-db: exit {done.returncode}\n{done.stdout}{done.stderr}")


def _as_user() -> list[str]:
    return [f"--user={pwd.getpwuid(_owner()).pw_name if os.geteuid() == 0 else getpass.getuser()}"]


def _owner() -> int:
    """The server will not run as root, and needs no user of its own."""
    return pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else os.geteuid()
