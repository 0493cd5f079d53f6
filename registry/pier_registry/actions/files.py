"""Files go after the commit that forgot them, and before the answer; on a full disk the ballast makes room first."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, TypeVar

from pier_registry import errors
from pier_registry.actions.registry import Registry
from pier_registry.metadata import outbox, uploads
from pier_registry.metadata.outbox import Removal
from pier_registry.metadata.refcounts import GoneLayer
from pier_registry.metadata.session import Transaction
from pier_registry.metadata.uploads import Upload
from pier_registry.names import layer_path, upload_path

Result = TypeVar("Result")

log = logging.getLogger("pier.files")
UNLINK_FOR: Final = 10.0


def forget(registry: Registry, work: Callable[[Transaction], Result]) -> Result:
    """Run a transaction that frees space; when the disk is too full even for that, give up the ballast and repeat."""
    try:
        return registry.metadata.write(work)
    except errors.DiskFull:
        registry.storage.release_ballast()
        return registry.metadata.write(work)


def room_for(registry: Registry, announced: int) -> None:
    """Refuse a body before it comes. Raises TooLarge, DiskFull."""
    if announced > registry.settings.max_layer:
        raise errors.TooLarge("the layer is larger than PIER_MAX_LAYER")
    if registry.storage.free() - announced < registry.settings.min_free:
        raise errors.DiskFull


def discard(registry: Registry, upload: Upload) -> bool:
    """Forget an upload, and then remove what there is of its file; False when another request has ended it."""
    rows = forget(registry, lambda tx: uploads.discard(tx, upload))
    if not rows:
        return False
    places = [upload_path(upload.uuid)]
    places += [layer_path(place, upload.uuid) for place in (upload.digest, upload.expected) if place]
    try:
        for place in places:
            registry.storage.remove(place)
    except OSError as broken:
        log.warning("upload not removed", extra={"upload": upload.uuid, "error": str(broken)})
        return True
    _settle(registry, rows)
    return True


@dataclass(frozen=True, slots=True)
class Dropped:
    """`freed` bytes are back on the disk, `left` bytes follow in the background."""

    freed: int = 0
    left: int = 0

    def __add__(self, other: Dropped) -> Dropped:
        return Dropped(self.freed + other.freed, self.left + other.left)


def drop(registry: Registry, gone: Iterable[GoneLayer]) -> Dropped:
    """Unlink the files of forgotten layers and settle their outbox rows.

    After 10 s of unlinking, or where the disk is broken, the rest stays in the outbox and goes in the background.
    """
    deadline = time.monotonic() + UNLINK_FOR
    dropped = Dropped()
    settled: list[int] = []
    for layer in gone:
        freed = None if time.monotonic() > deadline else _unlinked(registry, layer)
        if freed is None:
            dropped += Dropped(left=layer.size)
            continue
        dropped += Dropped(freed)
        settled.append(layer.outbox)
    if settled:
        _settle(registry, settled)
        registry.storage.restore_ballast()
    return dropped


def _unlinked(registry: Registry, layer: GoneLayer) -> int | None:
    try:
        return registry.storage.remove(layer_path(layer.digest, layer.generation))
    except OSError as broken:
        log.warning("layer file not removed", extra={"digest": str(layer.digest), "error": str(broken)})
        return None


def _settle(registry: Registry, rows: list[int]) -> None:
    try:
        registry.metadata.write(lambda tx: outbox.settle(tx, rows))
    except errors.Unavailable as trouble:
        # What was asked for is done and committed; the rows are settled in the background.
        log.warning("outbox not settled", extra={"error": str(trouble)})


def work_off(registry: Registry, count: int) -> int:
    """Remove files whose outbox rows are due; returns how many rows were looked at."""
    due = registry.metadata.read(lambda tx: outbox.due(tx, count))
    for removal in due:
        _try(registry, removal)
    return len(due)


def _try(registry: Registry, removal: Removal) -> None:
    try:
        registry.storage.remove(removal.path)
    except OSError as broken:
        log.warning("file not removed", extra={"path": removal.path, "error": str(broken)})
        forget(registry, lambda tx: outbox.put_off(tx, removal))
        return
    forget(registry, lambda tx: outbox.settle(tx, [removal.id]))
