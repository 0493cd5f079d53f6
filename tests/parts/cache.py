"""A folder outside the tree for what takes long to make: each entry is made once, whole or not at all.

`PIER_CACHE`, or `pier` below `XDG_CACHE_HOME` (`~/.cache`). An entry's name holds the version of what it was made
from, so a newer one gets a place of its own.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

# Where daemons live, which is not on everybody's PATH.
SYSTEM_PATH = os.pathsep.join(
    [os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin", "/bin"]
)


class PartMissing(Exception):
    """A program or file that the tests stand on is not on this machine."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}: run scripts/test-parts")


def program(name: str) -> str:
    """Path of an installed program. Raises PartMissing."""
    found = shutil.which(name, path=SYSTEM_PATH)
    if found is None:
        raise PartMissing(f"{name} is not installed")
    return found


def entry(name: str) -> Path:
    """Where the entry is, or will be."""
    chosen = os.environ.get("PIER_CACHE")
    below = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return (Path(chosen) if chosen else below / "pier").absolute() / name


def found(name: str, what: str) -> Path:
    """An entry that only scripts/test-parts makes. Raises PartMissing, naming `what`."""
    place = entry(name)
    if not place.exists():
        raise PartMissing(f"{what} is not in {place.parent}")
    return place


def made(name: str, make: Callable[[Path], object]) -> Path:
    """The entry's folder; `make` fills an empty one when there is none yet. Builders of one entry wait in line."""
    return made_at(entry(name), make)


def made_at(place: Path, make: Callable[[Path], object]) -> Path:
    """As `made`, for a folder anywhere."""
    if place.exists():
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    with _lock(place):
        if not place.exists():
            draft = place.with_name(f".{place.name}.draft")
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir()
            make(draft)
            draft.rename(place)
    return place


@contextmanager
def _lock(place: Path) -> Iterator[None]:
    with place.with_name(f".{place.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
