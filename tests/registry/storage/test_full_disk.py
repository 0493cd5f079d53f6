"""A disk without room: what is refused, what still works, and the reserve that makes deletes work."""

from __future__ import annotations

import errno
import gzip
import os
import shutil
from collections import deque
from itertools import repeat
from pathlib import Path

import pytest

from pier_registry.errors import DiskFull
from pier_registry.storage.filesystem import FileSystem
from tests.registry.storage import bodies
from tests.registry.storage.bodies import GIB, MIB, whole
from tests.registry.storage.conftest import FILES, SMALL

UPLOAD = "44444444-0000-4000-8000-000000000004"
RESERVE = 4 * MIB


def opened(root: Path, ballast: int = 0) -> FileSystem:
    return FileSystem(root, max_layer=GIB, max_inflated=GIB, ballast=ballast)


def fill(volume: Path) -> Path:
    """Take every byte that is left."""
    filler = volume / "filler"
    with filler.open("ab", buffering=0) as file:
        for step in (MIB, 4096):
            with pytest.raises(OSError, check=is_full):
                deque(map(file.write, repeat(bytes(step))), maxlen=0)
    return filler


def fill_names(volume: Path) -> Path:
    """Take every file that is left, so that no folder can be made."""
    names = volume / "names"
    names.mkdir()
    with pytest.raises(OSError, check=is_full):
        touch_many(names)
    return names


def touch_many(folder: Path) -> None:
    for name in range(FILES + 1):
        (folder / str(name)).touch()


def is_full(error: OSError) -> bool:
    return error.errno == errno.ENOSPC


@pytest.mark.parametrize("piece", [bytes(MIB), gzip.compress(os.urandom(MIB))], ids=["plain", "gzip"])
def test_a_body_that_fills_the_disk_is_refused_and_gone(volume: Path, piece: bytes) -> None:
    store = opened(volume)
    before = store.free()
    with pytest.raises(DiskFull, match="delete tags"):
        store.receive(whole(piece * 64), UPLOAD, prefix=b"\n", announced=None)
    assert (list(store.uploads()), store.free()) == ([], before)


def test_a_body_announced_beyond_the_free_space_is_refused_unread(volume: Path) -> None:
    source = bodies.endless()
    with pytest.raises(DiskFull):
        opened(volume).receive(source, UPLOAD, prefix=b"\n", announced=SMALL + 1)
    assert source.given == 0


def test_a_body_larger_than_the_room_by_one_byte_is_refused(volume: Path) -> None:
    store = opened(volume)
    (volume / "half").write_bytes(bytes(MIB // 2))  # so that the last write is cut, not refused
    with pytest.raises(DiskFull):
        store.receive(whole(bytes(store.free() + 1)), UPLOAD, prefix=b"\n", announced=None)
    assert list(store.uploads()) == []


def test_a_full_disk_leaves_an_earlier_upload_alone(volume: Path) -> None:
    store = opened(volume)
    told = store.receive(whole(b"layer"), UPLOAD, prefix=b"\n", announced=5)
    with pytest.raises(DiskFull):
        store.receive(whole(bytes(64 * MIB)), UPLOAD, prefix=b"\n", announced=None)
    assert store.size(store.publish(UPLOAD, told.digest)) == 5


def test_publishing_without_room_for_a_folder_says_so_and_can_be_repeated(volume: Path) -> None:
    store = opened(volume)
    told = store.receive(whole(b"layer"), UPLOAD, prefix=b"\n", announced=5)
    names = fill_names(volume)
    with pytest.raises(DiskFull):
        store.publish(UPLOAD, told.digest)
    shutil.rmtree(names)
    assert store.size(store.publish(UPLOAD, told.digest)) == 5


def test_layers_are_removed_on_a_full_disk(volume: Path) -> None:
    store = opened(volume)
    told = store.receive(whole(bytes(8 * MIB)), UPLOAD, prefix=b"\n", announced=8 * MIB)
    path = store.publish(UPLOAD, told.digest)
    fill(volume)
    assert store.remove(path) == 8 * MIB
    assert store.free() >= 8 * MIB


def test_free_space_is_what_can_be_written(volume: Path) -> None:
    store = opened(volume)
    room = store.free()
    assert SMALL - MIB < room <= SMALL
    assert fill(volume).stat().st_size == pytest.approx(room, abs=8192)
    assert store.free() == 0


def test_the_reserve_really_takes_its_space(volume: Path) -> None:
    without = opened(volume).free()
    assert without - opened(volume, RESERVE).free() == RESERVE


def test_giving_up_the_reserve_makes_room_on_a_full_disk(volume: Path) -> None:
    store = opened(volume, RESERVE)
    fill(volume)
    store.release_ballast()
    assert store.receive(whole(bytes(RESERVE - MIB)), UPLOAD, prefix=b"\n", announced=None).size == RESERVE - MIB


def test_a_released_reserve_comes_back_when_there_is_room(volume: Path) -> None:
    store = opened(volume, RESERVE)
    before = store.free()
    store.release_ballast()
    store.restore_ballast()
    assert store.free() == before


def test_restoring_the_reserve_on_a_full_disk_takes_nothing_and_raises_nothing(volume: Path) -> None:
    store = opened(volume, RESERVE)
    store.release_ballast()
    filler = fill(volume)
    os.truncate(filler, filler.stat().st_size - MIB)
    room = store.free()
    store.restore_ballast()
    assert (store.free(), (volume / ".ballast").exists()) == (room, False)


def test_releasing_and_restoring_twice_is_harmless(volume: Path) -> None:
    store = opened(volume, RESERVE)
    before = store.free()
    store.restore_ballast()
    assert store.free() == before
    store.release_ballast()
    store.release_ballast()
    assert store.free() == before + RESERVE


def test_a_reserve_of_another_size_is_made_to_measure(volume: Path) -> None:
    opened(volume, RESERVE)
    opened(volume, RESERVE // 2)
    assert (volume / ".ballast").stat().st_blocks * 512 == RESERVE // 2


def test_a_store_opens_on_a_full_disk_and_removes_there(volume: Path) -> None:
    first = opened(volume)
    told = first.receive(whole(bytes(MIB)), UPLOAD, prefix=b"\n", announced=MIB)
    path = first.publish(UPLOAD, told.digest)
    fill(volume)
    assert opened(volume, RESERVE).remove(path) == MIB
