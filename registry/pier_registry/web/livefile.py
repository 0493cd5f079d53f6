"""A small file that people change under a running server: read anew when it changes, replaced whole when we write.

Looking costs one stat. A file that cannot be read, or whose content makes no sense, changes nothing: the last
good content stays in force and `trouble` says why.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import stat
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Generic, TypeVar

from pier_registry import errors

Content = TypeVar("Content")
Stamp = tuple[int, int, int, int, int]

# Two writes within one tick of the file system's clock look alike, so a file this young (ns) is read again.
_YOUNG: Final = 2_000_000_000
# Old sandboxes refuse this system call, which must not look like an absent file.
_SEES_LINKS: Final = os.access(os.sep, os.F_OK, follow_symlinks=False)

log = logging.getLogger("pier.access")


def _stamp(status: os.stat_result) -> Stamp:
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size


class LiveFile(Generic[Content]):
    """`parse` turns the bytes into content and raises ValueError, as a sentence, when it cannot.

    `content` holds until the first good read. `trouble` is empty while the file on disk is the one in force.
    An `optional` file may never have been there; once read, its absence is trouble, too.
    """

    def __init__(
        self, path: Path, parse: Callable[[bytes], Content], content: Content, *, optional: bool = False
    ) -> None:
        self.path = path
        self.trouble = ""
        self._name = os.fspath(path)
        self._optional = optional
        self._parse = parse
        self._content = content
        self._raw: bytes | None = None
        self._wrong = ""
        self._seen: Stamp | None = None
        self._lock = threading.Lock()

    def current(self) -> Content:
        """The content in force; a change made before this call is seen by it."""
        if not self.trouble and self._never_was():
            return self._content
        try:
            stamp: Stamp | None = _stamp(os.stat(self._name))
        except OSError:
            stamp = None
        if stamp is None or stamp != self._seen:
            with self._lock:
                self._reload()
        return self._content

    def _reload(self) -> None:
        try:
            raw, seen = _read(self.path)
        except OSError as wrong:
            self._seen = None
            self._note("" if self._never_was() else f"{self.path} cannot be read: {wrong.strerror}")
            return
        if raw != self._raw:
            self._wrong = self._take(raw)
            self._raw = raw
        self._note(self._wrong)
        self._seen = seen  # last: who finds it unchanged must find the content, too

    def _never_was(self) -> bool:
        """A link to nothing was meant to be something."""
        return self._optional and self._raw is None and not _is_there(self._name)

    def _take(self, raw: bytes) -> str:
        try:
            self._content = self._parse(raw)
        except ValueError as wrong:
            return f"{self.path} {wrong}"
        return ""

    def _note(self, trouble: str) -> None:
        if trouble and trouble != self.trouble:
            log.warning("file unusable, the last good one stays in force", extra={"error": trouble})
        elif self.trouble and not trouble:
            log.info("file in force again", extra={"path": str(self.path)})
        self.trouble = trouble


def _is_there(name: str) -> bool:
    """Without an exception where it is not, which takes as long as all else of a look."""
    return os.access(name, os.F_OK, follow_symlinks=False) if _SEES_LINKS else os.path.lexists(name)


def _read(path: Path) -> tuple[bytes, Stamp | None]:
    with open(path, "rb") as file:
        status = os.fstat(file.fileno())
        young = time.time_ns() - status.st_ctime_ns < _YOUNG
        return file.read(), None if young else _stamp(status)


def replace(path: Path, raw: bytes) -> None:
    """Put `raw` in the place of `path`, whole or not at all, durably.

    A new file has mode 0600, an old one keeps its mode. A symbolic link stays, and what it names is replaced.
    Raises Misconfigured when the folder cannot be written.
    """
    try:
        _replace(Path(os.path.realpath(path)), raw)
    except OSError as wrong:
        raise errors.Misconfigured(f"{path} cannot be written: {wrong.strerror}") from None


def read_whole(path: Path) -> bytes:
    """Nothing when there is no file. Raises Misconfigured when it cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as wrong:
        raise errors.Misconfigured(f"{path} cannot be read: {wrong.strerror}") from None


@contextmanager
def one_writer(path: Path) -> Iterator[None]:
    """Let one process at a time change `path` and what goes with it; held on `<path>.lock`, freed if we die.

    Raises Misconfigured when the folder cannot be written.
    """
    lock = path.with_name(f"{path.name}.lock")
    try:
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as wrong:
        raise errors.Misconfigured(f"{lock} cannot be opened: {wrong.strerror}") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _replace(target: Path, raw: bytes) -> None:
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with open(handle, "wb") as file:
            file.write(raw)
            with contextlib.suppress(FileNotFoundError):
                os.fchmod(file.fileno(), stat.S_IMODE(target.stat().st_mode))
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, target)
    except BaseException:
        os.unlink(name)
        raise
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
