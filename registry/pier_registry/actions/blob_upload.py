"""A blob arrives: a session that is begun, filled by one request or by many, and finished under its digest.

The bytes are durable before a row says how many there are, and the row that promises the blob comes last.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from uuid import uuid4

from pier_registry import errors
from pier_registry.actions import files, promises, visibility
from pier_registry.actions.heartbeat import Heartbeat
from pier_registry.actions.registry import Caller, Registry
from pier_registry.metadata import layers, leases, refcounts, uploads
from pier_registry.metadata.layers import Arrival
from pier_registry.metadata.session import Transaction
from pier_registry.metadata.uploads import Upload
from pier_registry.names import Digest, RepositoryName
from pier_registry.storage.base import Readable, UploadFile


@dataclass(frozen=True, slots=True)
class Progress:
    """A session of an upload with `size` bytes so far."""

    uuid: str
    size: int


@dataclass(frozen=True, slots=True)
class Piece:
    """A request's body: `announced` bytes where that is known, to be written from `start` where that is said."""

    source: Readable
    announced: int | None
    start: int | None


def begin(registry: Registry, caller: Caller, repository: RepositoryName, expected: Digest | None = None) -> Progress:
    """Open a session. Raises Denied, DiskFull, TooManyRequests. OCI distribution-spec 1.1, end-4a."""
    caller.require("push", repository.full)
    files.room_for(registry, 0)
    uuid = str(uuid4())
    most = registry.settings.max_sessions

    def work(tx: Transaction) -> None:
        uploads.begin(tx, uuid, caller.user, most=most, repository=repository.full, expected=expected)
        leases.renew(tx, repository.full, caller.pusher, life=registry.lease)

    registry.metadata.write(work)
    return Progress(uuid, 0)


def progress(registry: Registry, caller: Caller, repository: RepositoryName, uuid: str) -> Progress:
    """Raises UploadUnknown, Denied. OCI distribution-spec 1.1, end-13."""
    caller.require("push", repository.full)
    known = _known(registry, caller, repository, uuid)
    return Progress(uuid, known.size)


def append(registry: Registry, caller: Caller, repository: RepositoryName, uuid: str, piece: Piece) -> Progress:
    """Add a piece; what came of one that broke off stays.

    Raises UploadUnknown, UploadBusy, OffsetWrong, SizeInvalid, TooLarge, DiskFull, Busy. end-5.
    """
    caller.require("push", repository.full)
    with registry.turns.taken(caller.user), _held(registry, caller, repository, uuid) as session:
        session.receive(piece, "sha256")
        return Progress(uuid, session.file.size())


def whole(registry: Registry, caller: Caller, repository: RepositoryName, digest: Digest, piece: Piece) -> None:
    """A blob in one request. Raises as `finish`. end-4b."""
    with registry.turns.taken(caller.user):
        keep(registry, caller, repository, digest, piece)


def keep(registry: Registry, caller: Caller, repository: RepositoryName, digest: Digest, piece: Piece) -> None:
    """As `whole`, for bytes that are at hand: nobody waits for a client here, so it takes no turn."""
    begun = begin(registry, caller, repository, expected=digest)
    try:
        _finish(registry, caller, repository, begun.uuid, digest, piece)
    except (errors.PierError, OSError):
        with suppress(errors.UploadUnknown):  # nobody else knows of the session
            cancel(registry, caller, repository, begun.uuid)
        raise


def finish(
    registry: Registry, caller: Caller, repository: RepositoryName, uuid: str, digest: Digest, piece: Piece | None
) -> None:
    """Take the last piece, if any; then the blob is there, promised to its pusher.

    Raises ContentWrong, after which the session is gone, and as `append`. end-6.
    """
    caller.require("push", repository.full)
    with registry.turns.taken(caller.user):
        _finish(registry, caller, repository, uuid, digest, piece)


def _finish(
    registry: Registry, caller: Caller, repository: RepositoryName, uuid: str, digest: Digest, piece: Piece | None
) -> None:
    with _held(registry, caller, repository, uuid) as session:
        found = session.receive(piece, digest.algorithm) if piece else session.known.digest
        noted = digest in {found, session.known.expected}
        if found is None or found.algorithm != digest.algorithm:
            found = session.file.digest(digest.algorithm)
        if found != digest:
            files.discard(registry, session.known)
            raise errors.ContentWrong(str(digest), str(found))
        session.publish(digest, noted=noted)


def cancel(registry: Registry, caller: Caller, repository: RepositoryName, uuid: str) -> None:
    """Raises UploadUnknown. end-14."""
    caller.require("push", repository.full)
    if not files.discard(registry, _known(registry, caller, repository, uuid)):
        raise errors.UploadUnknown


def mount(
    registry: Registry, caller: Caller, repository: RepositoryName, digest: Digest, source: RepositoryName | None
) -> bool:
    """Promise a blob that the caller sees in `source`, or without one in any repository; False when there is none.

    Raises Denied. OCI distribution-spec 1.1, end-11.
    """
    caller.require("push", repository.full)

    def work(tx: Transaction) -> bool:
        known = layers.find(tx, digest, lock=True)
        if known is None or known.lost or not _mountable(tx, caller, repository, source, known.id):
            return False
        promises.give_blob(registry, tx, caller, repository, known.id)
        if source is not None and source.full != repository.full:
            promises.end_asked(tx, caller, source, known.id)
        return True

    return registry.metadata.write(work)


def _mountable(
    tx: Transaction, caller: Caller, repository: RepositoryName, source: RepositoryName | None, layer_row: int
) -> bool:
    if source is not None:
        return caller.may("pull", source.full) and visibility.shows_blob(tx, caller, source, layer_row)
    return visibility.shows_blob(tx, caller, repository, layer_row) or visibility.shows_somewhere(tx, caller, layer_row)


@contextmanager
def _held(registry: Registry, caller: Caller, repository: RepositoryName, uuid: str) -> Iterator[_Session]:
    """The session with its file, in the hands of this request."""
    _known(registry, caller, repository, uuid)
    with registry.storage.hold(uuid) as file:
        known = _known(registry, caller, repository, uuid)  # again: another request may have finished it
        if file.size() < known.size:  # a crash took what was not flushed
            files.discard(registry, known)
            raise errors.UploadUnknown
        yield _Session(registry, caller, repository, known, file)


def _known(registry: Registry, caller: Caller, repository: RepositoryName, uuid: str) -> Upload:
    known = uploads.session(registry.metadata, uuid, caller.user, repository.full)
    if known is None:
        raise errors.UploadUnknown
    return known


@dataclass(frozen=True, slots=True)
class _Session:
    registry: Registry
    caller: Caller
    repository: RepositoryName
    known: Upload
    file: UploadFile

    def receive(self, piece: Piece, algorithm: str) -> Digest | None:
        """Write the piece behind what is there, and note it; the digest of the whole where one pass told it."""
        if piece.start is not None and piece.start != self.known.size:
            raise errors.OffsetWrong(self.known.size)
        files.room_for(self.registry, piece.announced or 0)
        body = Heartbeat(piece.source, lambda: self.registry.metadata.write(self._beat))
        try:
            digest = self.file.write(body, offset=self.known.size, announced=piece.announced, algorithm=algorithm)
        except (errors.TooLarge, errors.DiskFull):
            files.discard(self.registry, self.known)
            raise
        except (errors.PierError, OSError):
            self._note(None)
            raise
        if digest is None or digest != self.known.expected:
            self._note(digest)
        return digest

    def publish(self, digest: Digest, *, noted: bool) -> None:
        """The file first, then the rows; the session's row notes where the file is until they are there."""
        uuid, size = self.known.uuid, self.file.size()
        if not noted and not self.registry.metadata.write(lambda tx: uploads.expect(tx, uuid, digest)):
            raise errors.UploadUnknown
        path = self.registry.storage.publish(uuid, digest)
        arrival = Arrival(digest, size, uuid, None)
        try:
            unneeded = self.registry.metadata.write(lambda tx: self._arrive(tx, arrival))
        except errors.UploadUnknown:  # cancelled meanwhile
            self.registry.storage.remove(path)
            raise
        files.drop(self.registry, unneeded)

    def _arrive(self, tx: Transaction, arrival: Arrival) -> list[refcounts.GoneLayer]:
        """The blob's row and its promise; returns a file that is not needed."""
        if not uploads.still_running(tx, self.known.uuid, self.caller.user, self.repository.full):
            raise errors.UploadUnknown
        stored, kept = layers.arrive(tx, arrival)
        promises.give_blob(self.registry, tx, self.caller, self.repository, stored.id)
        uploads.forget(tx, self.known.uuid)
        return [] if kept else [refcounts.unneeded(tx, arrival)]

    def _note(self, digest: Digest | None) -> None:
        size = self.file.size()
        if not self.registry.metadata.write(lambda tx: uploads.advance(tx, self.known.uuid, size, digest)):
            raise errors.UploadUnknown

    def _beat(self, tx: Transaction) -> None:
        uploads.touch(tx, self.known.uuid)
        leases.renew(tx, self.repository.full, self.caller.pusher, life=self.registry.lease)
