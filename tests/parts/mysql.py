"""MySQL 9, run in a root file system of its own, because Debian's stable releases have none.

The server sees its run folder as `/pier`. The mounts are in a namespace that ends with the process.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.parts import cache, database, roots
from tests.parts.database import DatabaseServer
from tests.parts.ports import free_port

OWNER: Final = 999
_SIZES: Final = ("--innodb-redo-log-capacity=16M", "--performance-schema=OFF")
_INSIDE: Final = """
mount --bind "$2" "$1/pier"; mount --bind /dev "$1/dev"; mount -t proc proc "$1/proc"
root=$1; shift 2; exec chroot "$root" "$@"
"""


@contextmanager
def running(*options: str) -> Iterator[DatabaseServer]:
    """A server with these further options until the end of the block. Raises PartMissing."""
    template = data_folder()
    home, port = database.new_home("mysql"), free_port()
    given = [*database.options("/pier", port), *_SIZES, "--skip-log-bin", "--mysqlx=OFF", *options]
    with database.served(DatabaseServer(home, _mysqld(home, *given), port), template, OWNER) as server:
        yield server


def data_folder() -> Path:
    """An initialised, empty data folder below the cache, in `data`. Raises PartMissing."""
    return cache.made(f"mysql-data-{version()}", _initialise)


def version() -> str:
    root = roots.mysql()
    told = subprocess.run(["chroot", root, "mysqld", "--version"], capture_output=True, text=True, check=True).stdout
    match = re.search(r"Ver (\S+)", told)
    assert match, told
    return match[1]


def _initialise(draft: Path) -> None:
    os.chown(draft, OWNER, OWNER)
    done = subprocess.run(
        _mysqld(draft, "--initialize-insecure", "--datadir=/pier/data", *_SIZES),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode:
        raise AssertionError(f"mysqld --initialize-insecure: exit {done.returncode}\n{done.stdout}{done.stderr}")


def _mysqld(home: Path, *options: str) -> list[str]:
    """Every step is an exec, so the process that is started becomes the server."""
    namespace = ["unshare", "--mount", "--propagation", "private", "sh", "-euc", _INSIDE, "sh"]
    return [*namespace, str(roots.mysql()), str(home), "mysqld", "--no-defaults", "--user=mysql", *options]
