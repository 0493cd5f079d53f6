"""A registry that stops dead at a chosen step: around each transaction, before each commit, around each file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import BinaryIO, TypeVar

from pier_registry.actions.registry import Registry
from pier_registry.metadata.session import Metadata, Transaction
from pier_registry.names import Digest
from pier_registry.storage.base import Readable, Received, Storage, Stored, UploadFile

Result = TypeVar("Result")


class Crash(BaseException):
    """Caught by nobody below, like a power cut."""


@dataclass(slots=True)
class Fuse:
    """Burns one step at a time; `passed` names the steps since it was lit."""

    left: int | None = None
    passed: list[str] = field(default_factory=list)

    @contextmanager
    def lit(self, steps: int) -> Iterator[Fuse]:
        """Raises Crash after so many steps inside the block."""
        self.left, self.passed = steps, []
        try:
            yield self
        finally:
            self.left = None

    def step(self, name: str) -> None:
        if self.left is None:
            return
        self.passed.append(name)
        if self.left == 0:
            self.left = None
            raise Crash(name)
        self.left -= 1


@dataclass(slots=True)
class Meanwhile(Fuse):
    """Does something of its own, once, when a step of this name is passed."""

    at: str = ""
    act: Callable[[], object] | None = None

    def step(self, name: str) -> None:
        if self.act and name == self.at:
            act, self.act = self.act, None
            act()


class _Metadata(Metadata):
    """Another door to the same database."""

    def __init__(self, inner: Metadata, fuse: Fuse) -> None:
        vars(self).update(vars(inner))
        self._fuse = fuse

    def write(self, work: Callable[[Transaction], Result], *, preview: bool = False) -> Result:
        def fused(tx: Transaction) -> Result:
            result = work(tx)
            self._fuse.step("before a commit")
            return result

        self._fuse.step("before a transaction")
        result = super().write(fused, preview=preview)
        self._fuse.step("after a commit")
        return result


@dataclass(frozen=True, slots=True)
class _Body:
    source: Readable
    fuse: Fuse

    def readinto(self, buffer: memoryview, /) -> int:
        came = self.source.readinto(buffer)
        self.fuse.step("in a body")
        return came


@dataclass(frozen=True, slots=True)
class _Held:
    inner: UploadFile
    fuse: Fuse

    def size(self) -> int:
        return self.inner.size()

    def write(self, source: Readable, *, offset: int, announced: int | None, algorithm: str) -> Digest | None:
        body = _Body(source, self.fuse)
        digest = self.inner.write(body, offset=offset, announced=announced, algorithm=algorithm)
        self.fuse.step("after a body")
        return digest

    def digest(self, algorithm: str) -> Digest:
        return self.inner.digest(algorithm)


@dataclass(frozen=True, slots=True)
class _Storage:
    inner: Storage
    fuse: Fuse

    def receive(self, source: Readable, upload: str, *, prefix: bytes, announced: int | None) -> Received:
        received = self.inner.receive(_Body(source, self.fuse), upload, prefix=prefix, announced=announced)
        self.fuse.step("after a body")
        return received

    @contextmanager
    def hold(self, upload: str) -> Iterator[UploadFile]:
        with self.inner.hold(upload) as file:
            yield _Held(file, self.fuse)

    def publish(self, upload: str, digest: Digest) -> str:
        path = self.inner.publish(upload, digest)
        self.fuse.step("after a file was published")
        return path

    def remove(self, path: str) -> int:
        freed = self.inner.remove(path)
        self.fuse.step("after a file was removed")
        return freed

    def open(self, path: str) -> BinaryIO:
        return self.inner.open(path)

    def size(self, path: str) -> int | None:
        return self.inner.size(path)

    def is_warm(self, path: str) -> bool:
        return self.inner.is_warm(path)

    def layers(self) -> Iterator[Stored]:
        return self.inner.layers()

    def uploads(self) -> Iterator[Stored]:
        return self.inner.uploads()

    def free(self) -> int:
        return self.inner.free()

    def release_ballast(self) -> None:
        self.inner.release_ballast()

    def restore_ballast(self) -> None:
        self.inner.restore_ballast()


def fused(registry: Registry, fuse: Fuse) -> Registry:
    """The same registry, with a fuse in it."""
    return Registry(
        registry.settings, _Metadata(registry.metadata, fuse), _Storage(registry.storage, fuse), registry.turns
    )
