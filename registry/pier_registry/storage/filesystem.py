"""Bytes in a folder: `uploads/<uuid>` while they come, `layers/<algorithm>/<2 hex>/<hex>.<uuid>` once durable.

A running receive writes to `uploads/<uuid>.<token>`; after a crash that name is what a sweep finds.
Folders are opened one below the other and never through a symbolic link, so nothing outside the root is reached.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from pier_registry.errors import DiskFull, Misconfigured
from pier_registry.names import Digest, layer_path, upload_path
from pier_registry.storage.base import Readable, Received, Stored, UploadFile
from pier_registry.storage.hashing import Digester
from pier_registry.storage.writing import FILE_MODE, copy, held, too_large, write_all

_FOLDER_MODE = 0o750
_BLOCK = 1 << 20
_SAMPLES = 16  # 2 µs each
_AREAS = ("layers", "uploads")
_NAME = r"(?!\.{1,2}(?:/|\Z))[^/\0]+"
_PATH = re.compile(rf"layers(?:/{_NAME})+|uploads/{_NAME}")
_INTO = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_CANNOT_RESERVE = frozenset({errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS})


class FileSystem:
    """Storage below `root`, which is made when missing; sizes in bytes.

    Raises Misconfigured when the folder cannot be written or its areas are symbolic links.
    """

    def __init__(self, root: Path, *, max_layer: int, max_inflated: int, ballast: int = 16 << 20) -> None:
        self._root = root.absolute()
        self._max_layer = max_layer
        self._max_inflated = max_inflated
        self._ballast = ballast
        try:
            _prepare(self._root)
            with self._folder(()) as folder:
                os.fsync(folder)
            self.restore_ballast()
        except OSError as wrong:
            raise Misconfigured(f"the data folder cannot be used: {wrong}; mend it or set PIER_DATA") from None

    def receive(self, source: Readable, upload: str, *, prefix: bytes, announced: int | None) -> Received:
        """As Storage.receive. What an earlier call completed stays until this one is complete, or if it fails."""
        folders, name = _split(upload_path(upload))
        self._refuse_early(announced)
        with _full_disk(), self._folder(folders) as folder, _partial(folder, name) as (partial, file):
            with Digester(prefix, self._max_inflated) as digester:
                most = self._max_layer
                copy(source, file, digester.update, announced=announced, most=most, limit=most)
                os.fsync(file)
                received = digester.finish()
            os.rename(partial, name, src_dir_fd=folder, dst_dir_fd=folder)
            os.fsync(folder)
        return received

    @contextmanager
    def hold(self, upload: str) -> Iterator[UploadFile]:
        folders, name = _split(upload_path(upload))
        with _full_disk(), self._folder(folders) as folder, held(folder, name, self._max_layer) as file:
            yield file

    def publish(self, upload: str, digest: Digest) -> str:
        """As Storage.publish. Raises FileNotFoundError when there is neither the upload nor the layer."""
        path = layer_path(digest, upload)
        (source_folders, source), (target_folders, target) = _split(upload_path(upload)), _split(path)
        with (
            _full_disk(),
            self._folder(source_folders) as uploads,
            self._folder(target_folders, make=True) as layers,
        ):
            if _size(uploads, source) is not None:
                os.rename(source, target, src_dir_fd=uploads, dst_dir_fd=layers)
            elif _size(layers, target) is None:
                raise FileNotFoundError(errno.ENOENT, "the upload has no file to publish", upload)
            os.fsync(layers)  # also when nothing was left to move: a crash may have come before this line
            os.fsync(uploads)
        return path

    def remove(self, path: str) -> int:
        folders, name = _split(path)
        with suppress(FileNotFoundError), self._folder(folders) as folder:
            size = os.stat(name, dir_fd=folder, follow_symlinks=False).st_size
            os.unlink(name, dir_fd=folder)
            return size
        return 0

    def open(self, path: str) -> BinaryIO:
        folders, name = _split(path)
        with self._folder(folders) as folder:
            return open(name, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW, dir_fd=folder))

    def size(self, path: str) -> int | None:
        """Raises OSError for something that is not a file."""
        folders, name = _split(path)
        with suppress(FileNotFoundError), self._folder(folders) as folder:
            return _size(folder, name)
        return None

    def is_warm(self, path: str) -> bool:
        with self.open(path) as file:
            return _in_memory(file.fileno())

    def layers(self) -> Iterator[Stored]:
        return self._files("layers")

    def uploads(self) -> Iterator[Stored]:
        """Those still being received too, under their longer names."""
        return self._files("uploads")

    def free(self) -> int:
        volume = os.statvfs(self._root)
        return volume.f_bavail * volume.f_frsize

    def release_ballast(self) -> None:
        self._ballast_file.unlink(missing_ok=True)

    def restore_ballast(self) -> None:
        if not self._ballast:
            return
        try:
            with _full_disk():
                _allocate(self._ballast_file, self._ballast)
        except DiskFull:
            self.release_ballast()  # a part of it would only hide the space

    @property
    def _ballast_file(self) -> Path:
        return self._root / ".ballast"

    def _refuse_early(self, announced: int | None) -> None:
        if announced is not None and announced > self._max_layer:
            raise too_large(self._max_layer)
        if announced is not None and announced > self.free():
            raise DiskFull

    @contextmanager
    def _folder(self, names: tuple[str, ...], *, make: bool = False) -> Iterator[int]:
        """A descriptor of the folder below the root; with `make`, what is missing is made, durably."""
        folder = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for name in names:
                below = _descend(folder, name, make=make)
                os.close(folder)
                folder = below
            yield folder
        finally:
            os.close(folder)

    def _files(self, area: str) -> Iterator[Stored]:
        with self._folder((area,)) as top:
            for folder, _, names, descriptor in os.fwalk(".", onerror=_raise, dir_fd=top):
                prefix = Path(area, folder).as_posix()
                for name in names:
                    found = _look(descriptor, name)  # None when removed since the folder was read
                    if found and stat.S_ISREG(found.st_mode):
                        yield Stored(f"{prefix}/{name}", found.st_size, found.st_mtime)


def _prepare(root: Path) -> None:
    root.mkdir(_FOLDER_MODE, parents=True, exist_ok=True)
    _check_writable(root)
    for area in _AREAS:
        folder = root / area
        if folder.is_symlink():
            raise Misconfigured(
                f"{folder} is a symbolic link: make it a folder, or move all of {root} and set PIER_DATA"
            )
        folder.mkdir(_FOLDER_MODE, exist_ok=True)
        _check_writable(folder)


def _check_writable(folder: Path) -> None:
    # asked, not tried: on a full disk a trial would fail, and deletes must work there
    if not os.access(folder, os.W_OK | os.X_OK, effective_ids=True):
        raise Misconfigured(
            f"{folder} cannot be written: give it to the user that runs Pier (uid {os.geteuid()}) on a writable volume"
        )


def _split(path: str) -> tuple[tuple[str, ...], str]:
    """Folders and file name. Raises ValueError for a path outside the two areas: no client can name one."""
    if not _PATH.fullmatch(path):
        raise ValueError(f"{path!r} is not a path of this store: it must be below layers/ or uploads/")
    *folders, name = path.split("/")
    return tuple(folders), name


@contextmanager
def _full_disk() -> Iterator[None]:
    try:
        yield
    except OSError as wrong:
        if wrong.errno in _FULL:
            raise DiskFull from wrong
        raise


@contextmanager
def _partial(folder: int, name: str) -> Iterator[tuple[str, int]]:
    """A new file of the caller's own, as name and descriptor; gone afterwards unless it was renamed."""
    partial = f"{name}.{secrets.token_hex(8)}"
    file = os.open(partial, _NEW, FILE_MODE, dir_fd=folder)
    try:
        yield partial, file
    finally:
        os.close(file)
        with suppress(FileNotFoundError):
            os.unlink(partial, dir_fd=folder)


def _descend(folder: int, name: str, *, make: bool) -> int:
    if make:
        with suppress(FileExistsError):
            os.mkdir(name, _FOLDER_MODE, dir_fd=folder)
        os.fsync(folder)  # even if it was there: its maker may not have come this far
    return os.open(name, _INTO, dir_fd=folder)


def _look(folder: int, name: str) -> os.stat_result | None:
    with suppress(FileNotFoundError):
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    return None


def _size(folder: int, name: str) -> int | None:
    found = _look(folder, name)
    if found and not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "this must be a regular file: move it out of the data folder", name)
    return found.st_size if found else None


def _in_memory(file: int) -> bool:
    size = os.fstat(file).st_size
    places = {*range(0, size, max(1, size // _SAMPLES)), max(0, size - 1)}
    try:
        return all(os.preadv(file, [bytearray(1)], place, os.RWF_NOWAIT) for place in places)
    except OSError:  # it would wait, or the file system cannot tell
        return False


def _allocate(path: Path, size: int) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)
    try:
        os.truncate(file, size)
        os.posix_fallocate(file, 0, size)
    except OSError as wrong:
        if wrong.errno not in _CANNOT_RESERVE:
            raise
        _fill(file, size)
    finally:
        os.close(file)


def _fill(file: int, size: int) -> None:
    for at in range(0, size, _BLOCK):
        write_all(file, os.urandom(min(_BLOCK, size - at)))  # zeros would be compressed away by some file systems
    os.fsync(file)


def _raise(wrong: OSError) -> None:
    raise wrong
