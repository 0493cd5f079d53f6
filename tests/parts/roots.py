"""Root file systems made from Debian's packages: what images are built on, and where MySQL and a newer Docker run."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

from tests.parts import cache

_SCRIPT: Final = Path(__file__).with_name("roots.sh")
# The number goes up when roots.sh makes something else.
_DEBIAN: Final = "debian-trixie-1"
_MYSQL: Final = "mysql-sid-1"
_DOCKER: Final = "docker-trixie-1"


def debian() -> Path:
    """The tar of a minimal Debian 13. Raises PartMissing."""
    return cache.found(_DEBIAN, "the Debian base image") / "root.tar"


def mysql() -> Path:
    """A folder to chroot into, with `mysqld`, the user `mysql` and an empty `/pier`. Raises PartMissing."""
    return cache.found(_MYSQL, "MySQL") / "root"


def docker() -> Path:
    """A folder to pivot into, with `dockerd` and an empty `/pier`; `docker` is beside it. Raises PartMissing."""
    return cache.found(_DOCKER, "Docker of Debian 13") / "root"


def make() -> None:
    """Make what is missing; takes two minutes, root and Debian's packages."""
    cache.made(_DEBIAN, lambda draft: _run("debian", draft))
    cache.made(_MYSQL, lambda draft: _run("mysql", draft))
    cache.made(_DOCKER, lambda draft: _run("docker", draft, debian()))


def _run(kind: str, draft: Path, *base: Path) -> None:
    """In a mount namespace of its own, so that nothing stays mounted whatever happens."""
    subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", str(_SCRIPT), kind, str(draft), *map(str, base)],
        check=True,
        timeout=900,
    )
