"""Files go after the commit that forgot them, and before the answer; on a full disk the ballast makes room first."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from pier_registry import errors
from pier_registry.actions.registry import Registry
from pier_registry.metadata import outbox
from pier_registry.metadata.outbox import Removal
from pier_registry.metadata.refcounts import GoneLayer
from pier_registry.metadata.session import Transaction
from pier_registry.names import layer_path

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


def drop(registry: Registry, gone: Iterable[GoneLayer]) -> int:
    """Unlink the files of forgotten layers and settle their outbox rows; returns the bytes freed.

    Ends after 10 s of unlinking, or at a broken disk: the rest stays in the outbox and goes in the background.
    """
    deadline = time.monotonic() + UNLINK_FOR
    freed = 0
    settled: list[int] = []
    for layer in gone:
        if time.monotonic() > deadline:
            break
        try:
            freed += registry.storage.remove(layer_path(layer.digest, layer.generation))
        except OSError as broken:
            log.warning("layer file not removed", extra={"digest": str(layer.digest), "error": str(broken)})
            continue
        settled.append(layer.outbox)
    if settled:
        registry.metadata.write(lambda tx: outbox.settle(tx, settled))
        registry.storage.restore_ballast()
    return freed


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
        registry.metadata.write(lambda tx: outbox.put_off(tx, removal))
        return
    forget(registry, lambda tx: outbox.settle(tx, [removal.id]))
