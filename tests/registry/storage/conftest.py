"""Every place for bytes runs the same contract: add a maker to `PLACES` and all of it applies."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import pytest

from pier_registry.storage.base import Storage
from pier_registry.storage.filesystem import FileSystem
from tests.registry.storage.bodies import GIB

SMALL = 32 << 20
FILES = 500


class Make(Protocol):
    def __call__(self, *, max_layer: int = ..., max_inflated: int = ...) -> Storage: ...


def _filesystem(root: Path) -> Make:
    def make(*, max_layer: int = GIB, max_inflated: int = GIB) -> Storage:
        return FileSystem(root, max_layer=max_layer, max_inflated=max_inflated, ballast=0)

    return make


PLACES: dict[str, Callable[[Path], Make]] = {"filesystem": _filesystem}


@pytest.fixture(params=PLACES)
def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    return PLACES[request.param](tmp_path / "data")


@pytest.fixture
def store(make_store: Make) -> Storage:
    return make_store()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def folder(root: Path) -> FileSystem:
    return FileSystem(root, max_layer=GIB, max_inflated=GIB, ballast=0)


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 32 MiB and 500 files; needs root."""
    path = tmp_path / "volume"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SMALL},nr_inodes={FILES}", "tmpfs", path], check=True)
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", path], check=True)


@pytest.fixture(autouse=True)
def _nothing_is_left_running() -> Iterator[None]:
    threads, files = threading.active_count(), len(os.listdir("/proc/self/fd"))
    yield
    assert threading.active_count() == threads
    assert len(os.listdir("/proc/self/fd")) == files
