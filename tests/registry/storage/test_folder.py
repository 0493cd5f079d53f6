"""The folder on disk: its layout, what a crash leaves, and that nothing leads out of it."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pier_registry.errors import Misconfigured
from pier_registry.names import Digest, layer_path
from pier_registry.storage.filesystem import FileSystem
from tests.registry.storage.bodies import GIB, MIB, sha256, whole

NOBODY = 65534
UPLOAD = "33333333-0000-4000-8000-000000000003"
RECEIVE = """
import sys
import tempfile
from pathlib import Path
from pier_registry.storage.filesystem import FileSystem
store = FileSystem(Path(sys.argv[1]), max_layer=1 << 30, max_inflated=1 << 30, ballast=0)
store.receive(sys.stdin.buffer, sys.argv[2], prefix=b"", announced=None)
"""


def opened(root: Path, ballast: int = 0) -> FileSystem:
    return FileSystem(root, max_layer=GIB, max_inflated=GIB, ballast=ballast)


def keep(store: FileSystem, data: bytes, upload: str = UPLOAD) -> str:
    return store.publish(upload, store.receive(whole(data), upload, prefix=b"\n", announced=len(data)).digest)


def test_a_layer_lies_where_its_digest_and_upload_say(folder: FileSystem, root: Path) -> None:
    keep(folder, b"layer")
    encoded = sha256(b"layer").encoded
    assert (root / "layers" / "sha256" / encoded[:2] / f"{encoded}.{UPLOAD}").read_bytes() == b"layer"


def test_others_may_read_neither_folders_nor_files(folder: FileSystem, root: Path) -> None:
    keep(folder, b"layer")
    modes = {path.stat().st_mode for path in (root / "layers").rglob("*")} | {(root / "uploads").stat().st_mode}
    assert {stat.S_IMODE(mode) & 0o027 for mode in modes} == {0}


def test_the_folder_of_two_hex_digits_stays_after_the_last_removal(folder: FileSystem, root: Path) -> None:
    path = keep(folder, b"layer")
    folder.remove(path)
    assert (root / path).parent.is_dir()


def test_du_agrees_with_what_removing_freed(folder: FileSystem, root: Path) -> None:
    def used() -> int:
        told = subprocess.run(["du", "-s", "--block-size=1", root / "layers"], capture_output=True, check=True)
        return int(told.stdout.split()[0])

    paths = [keep(folder, os.urandom(n * 100_001), f"{n:08x}-0000-4000-8000-000000000000") for n in range(1, 9)]
    before = used()
    freed = sum(folder.remove(path) for path in paths)
    assert freed == sum(n * 100_001 for n in range(1, 9))
    assert 0 <= before - used() - freed <= 4096 * len(paths)


def test_bytes_are_durable_before_their_name_and_names_before_the_answer(
    folder: FileSystem, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a power cut would show, told by the order of the calls."""
    sync, rename = os.fsync, os.rename
    calls: list[str] = []

    def place(descriptor: int) -> str:
        return str(Path(os.readlink(f"/proc/self/fd/{descriptor}")).relative_to(root)).split(".")[0]

    def syncing(descriptor: int) -> None:
        calls.append(place(descriptor))
        sync(descriptor)

    def renaming(source: str, target: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        calls.append("rename")
        rename(source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

    monkeypatch.setattr(os, "fsync", syncing)
    monkeypatch.setattr(os, "rename", renaming)
    two = keep(folder, b"layer").split("/")[2]
    received = [f"uploads/{UPLOAD}", "rename", "uploads"]
    made = ["", "layers", "layers/sha256"]
    assert calls == [*received, *made, "rename", f"layers/sha256/{two}", "uploads"]


def test_a_killed_receive_leaves_one_file_that_a_sweep_finds(folder: FileSystem, root: Path) -> None:
    command = [sys.executable, "-c", RECEIVE, str(root), UPLOAD]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as server:
        assert server.stdin
        server.stdin.write(bytes(3 * MIB))
        server.stdin.flush()
        _wait(lambda: [file for file in folder.uploads() if file.size >= MIB])
        os.kill(server.pid, signal.SIGKILL)
    (left,) = folder.uploads()
    assert list(folder.layers()) == []
    assert left.path.startswith(f"uploads/{UPLOAD}.")
    assert folder.remove(left.path) == left.size
    assert list(folder.uploads()) == []


def test_a_running_receive_is_listed_under_its_own_name(folder: FileSystem) -> None:
    class Looking:
        seen: tuple[str, ...] = ()

        def readinto(self, _: memoryview, /) -> int:
            self.seen = tuple(file.path for file in folder.uploads())
            return 0

    looking = Looking()
    folder.receive(looking, UPLOAD, prefix=b"\n", announced=None)
    (running,) = looking.seen
    assert running.startswith(f"uploads/{UPLOAD}.")


def test_what_was_kept_is_there_when_the_folder_is_opened_again(folder: FileSystem, root: Path) -> None:
    path = keep(folder, b"layer")
    assert [(file.path, file.size) for file in opened(root).layers()] == [(path, 5)]


def test_strays_deep_in_the_layers_are_listed_and_can_be_removed(folder: FileSystem, root: Path) -> None:
    stray = root / "layers" / "sha256" / "deep" / "er" / ".stray"
    stray.parent.mkdir(parents=True)
    stray.write_bytes(b"12345")
    (found,) = folder.layers()
    assert folder.remove(found.path) == 5
    assert not stray.exists()


def test_a_missing_folder_is_made(tmp_path: Path) -> None:
    opened(tmp_path / "not" / "yet")
    assert sorted(path.name for path in (tmp_path / "not" / "yet").iterdir()) == ["layers", "uploads"]


@pytest.mark.parametrize("area", ["layers", "uploads"])
def test_an_area_that_is_a_symbolic_link_stops_the_start(root: Path, tmp_path: Path, area: str) -> None:
    root.mkdir()
    (root / area).symlink_to(tmp_path)
    with pytest.raises(Misconfigured, match=f"{area} is a symbolic link"):
        opened(root)


def test_a_root_that_is_a_symbolic_link_is_the_operators_choice(tmp_path: Path) -> None:
    (tmp_path / "large").mkdir()
    (tmp_path / "data").symlink_to(tmp_path / "large")
    path = keep(opened(tmp_path / "data"), b"layer")
    assert (tmp_path / "large" / path).read_bytes() == b"layer"


def test_a_root_that_is_a_file_stops_the_start(root: Path) -> None:
    root.write_bytes(b"")
    with pytest.raises(Misconfigured, match="cannot be used"):
        opened(root)


def test_an_area_that_is_a_file_stops_the_start(root: Path) -> None:
    root.mkdir()
    (root / "layers").write_bytes(b"")
    with pytest.raises(Misconfigured, match="cannot be used"):
        opened(root)


def test_a_read_only_volume_stops_the_start(volume: Path) -> None:
    opened(volume)
    subprocess.run(["mount", "-o", "remount,ro", volume], check=True)
    with pytest.raises(Misconfigured, match="cannot be written"):
        opened(volume)


def test_a_folder_of_another_user_stops_the_start() -> None:
    with tempfile.TemporaryDirectory() as foreign:
        os.chmod(foreign, 0o755)
        os.seteuid(NOBODY)
        try:
            with pytest.raises(Misconfigured, match=f"uid {NOBODY}"):
                opened(Path(foreign))
        finally:
            os.seteuid(0)


def test_no_link_in_the_tree_is_followed(folder: FileSystem, root: Path, tmp_path: Path) -> None:
    digest, outside = Digest.sha256("ab" * 32), tmp_path / "outside"
    path = layer_path(digest, UPLOAD)
    (outside / "ab").mkdir(parents=True)
    (outside / "ab" / f"{digest.encoded}.{UPLOAD}").write_bytes(b"secret")
    (root / "layers" / "sha256").symlink_to(outside)
    folder.receive(whole(b"layer"), UPLOAD, prefix=b"\n", announced=5)
    acts: list[Callable[[], object]] = [
        lambda: folder.open(path),
        lambda: folder.size(path),
        lambda: folder.remove(path),
        lambda: folder.publish(UPLOAD, digest),
    ]
    for act in acts:
        with pytest.raises(OSError, match="Not a directory"):
            act()
    assert list(folder.layers()) == []
    assert (outside / "ab" / f"{digest.encoded}.{UPLOAD}").read_bytes() == b"secret"


def test_a_layer_that_became_a_link_is_not_followed(folder: FileSystem, root: Path, tmp_path: Path) -> None:
    path = keep(folder, b"layer")
    (tmp_path / "secret").write_bytes(b"secret")
    (root / path).unlink()
    (root / path).symlink_to(tmp_path / "secret")
    with pytest.raises(OSError, match="symbolic links"):
        folder.open(path)
    with pytest.raises(OSError, match="regular file"):
        folder.size(path)
    assert list(folder.layers()) == []
    folder.remove(path)
    assert (tmp_path / "secret").read_bytes() == b"secret"


def test_an_upload_that_became_a_link_is_not_published(folder: FileSystem, root: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    (root / "uploads" / UPLOAD).symlink_to(tmp_path / "secret")
    with pytest.raises(OSError, match="regular file"):
        folder.publish(UPLOAD, sha256(b"secret"))


def test_an_area_that_became_a_link_is_an_error_and_no_empty_listing(folder: FileSystem, root: Path) -> None:
    keep(folder, b"layer")
    (root / "layers").rename(root / "moved")
    (root / "layers").symlink_to(root / "moved")
    with pytest.raises(OSError, match="Not a directory"):
        list(folder.layers())


def test_a_layer_that_became_a_folder_is_an_error(folder: FileSystem, root: Path) -> None:
    path = keep(folder, b"layer")
    (root / path).unlink()
    (root / path).mkdir()
    for act in (folder.open, folder.size, folder.remove):
        with pytest.raises(OSError, match=r"regular file|Is a directory"):
            act(path)


def _wait(condition: Callable[[], object]) -> None:
    until = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < until, "it did not come about within 20 s"
        time.sleep(0.01)


def test_a_layer_that_is_not_in_memory_is_told_from_one_that_is(folder: FileSystem, root: Path) -> None:
    path = keep(folder, os.urandom(3 * MIB))
    assert folder.is_warm(path)
    with (root / path).open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    assert not folder.is_warm(path)
    (root / path).read_bytes()
    assert folder.is_warm(path)
    folder.remove(path)
    with pytest.raises(FileNotFoundError):
        folder.is_warm(path)
