"""Layers and SQLite on one volume without a byte left: a delete works, and says truly what it freed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path
from typing import Final

import pytest

from pier_registry import errors
from pier_registry.actions import reclaim
from pier_registry.actions.registry import Registry
from pier_registry.app import open_registry
from pier_registry.metadata import migrate
from pier_registry.settings import Settings
from tests.registry.counting import truth
from tests.registry.counting.pushing import Client, content, held, image

MIB: Final = 1 << 20
VOLUME: Final = 48 * MIB
BALLAST: Final = 16 * MIB


@pytest.fixture(params=["tmpfs", "ext4"])
def volume(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A small file system of one's own; needs root."""
    path = tmp_path / "volume"
    path.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={VOLUME}", "tmpfs"]
    if request.param == "ext4":
        file = tmp_path / "volume.ext4"
        subprocess.run(["truncate", "-s", str(VOLUME), file], check=True)
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", file], check=True)
        options = ["-o", "loop", str(file)]
    subprocess.run(["mount", *options, path], check=True)
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", path], check=True)


@pytest.fixture
def registry(volume: Path) -> Iterator[Registry]:
    made = open_registry(Settings(data=volume / "data", min_free=MIB))
    migrate.upgrade(made.metadata)
    yield made
    made.metadata.close()


def fill(volume: Path) -> None:
    """Down to the last byte."""
    with (volume / "filler").open("ab", buffering=0) as file:
        for step in (MIB, 4096, 1):
            with pytest.raises(OSError, match="No space left"):
                deque(map(file.write, repeat(bytes(step))), maxlen=0)
        os.fsync(file)


def ballast(volume: Path) -> int:
    file = volume / "data" / ".ballast"
    return file.stat().st_blocks * 512 if file.exists() else 0


def test_a_delete_on_a_full_disk_works_and_frees_what_it_tells(registry: Registry, volume: Path, alice: Client) -> None:
    base, kept = image("base"), image("kept")
    top = image("top", base, size=4 * MIB)
    alice.push("team/app", "latest", top)
    alice.push("team/app", "kept", kept)
    fill(volume)
    stored = sum(truth.files(registry).values())
    told = alice.delete("team/app", "latest")
    assert (told.freed_bytes, told.pending_bytes) == (held(top), 0)
    assert sum(truth.files(registry).values()) == stored - told.freed_bytes
    assert ballast(volume) >= BALLAST
    assert registry.storage.free() > 2 * MIB
    truth.is_at_rest(registry)
    assert alice.pulled(kept) == content(kept)


def test_many_deletes_on_a_full_disk_work_one_after_the_other(registry: Registry, volume: Path, alice: Client) -> None:
    base = image("base")
    for number in range(40):
        alice.push("team/app", f"{number}", image(f"top {number}", base))
    fill(volume)
    for number in range(40):
        alice.delete("team/app", f"{number}")
    truth.is_at_rest(registry)
    assert truth.files(registry) == {}


def test_a_repository_is_deleted_on_a_full_disk(registry: Registry, volume: Path, alice: Client) -> None:
    base = image("base", size=4 * MIB)
    for number in range(5):
        alice.push("team/app", f"{number}", image(f"top {number}", base))
    fill(volume)
    foreseen = alice.preview_repository("team/app")
    assert alice.delete_repository("team/app") == foreseen
    assert ballast(volume) >= BALLAST
    truth.is_at_rest(registry)


def test_a_registry_that_is_opened_on_a_full_disk_can_delete(registry: Registry, volume: Path, alice: Client) -> None:
    """Its database's working files have to be made first."""
    top = image("top", size=4 * MIB)
    alice.push("team/app", "latest", top)
    registry.metadata.close()
    fill(volume)
    program = (
        "from pathlib import Path; from pier_registry.app import open_registry;"
        "from pier_registry.preparing import prepare;"
        "from pier_registry.settings import Settings; from tests.registry.counting.pushing import Client;"
        f"settings = Settings(data=Path({str(volume / 'data')!r})); prepare(settings);"
        "told = Client(open_registry(settings)).delete('team/app', 'latest'); print(told.freed_bytes)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert (done.stdout.strip(), done.stderr) == (str(held(top)), "")
    truth.is_at_rest(registry)
    assert ballast(volume) >= BALLAST


def test_a_push_on_a_full_disk_is_refused_before_it_takes_the_reserve(
    registry: Registry, volume: Path, alice: Client
) -> None:
    top = image("top")
    alice.push("team/app", "latest", top)
    fill(volume)
    with pytest.raises(errors.DiskFull, match="delete tags"):
        alice.push("team/app", "new", image("new"))
    assert ballast(volume) >= BALLAST
    assert alice.pulled(top) == content(top)
    alice.delete("team/app", "latest")
    (volume / "filler").unlink()
    alice.push("team/app", "new", image("new"))
    assert alice.pulled(image("new")) == content(image("new"))


def test_the_end_of_a_push_on_a_full_disk_gives_space_back(registry: Registry, volume: Path, alice: Client) -> None:
    top = image("top", image("base"), size=4 * MIB)
    alice.begin("team/app", top)
    alice.send_missing(top)
    fill(volume)
    alice.end("team/app")
    reclaim.work_off(registry)
    assert truth.files(registry) == {}
    assert ballast(volume) >= BALLAST
    truth.is_at_rest(registry)
