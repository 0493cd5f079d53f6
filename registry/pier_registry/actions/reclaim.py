"""Space back in the background: ended leases, idle uploads and pushes, files that a crash left, half-done deletes.

One process of all that share the database does it at a time, whoever holds the duty.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from pier_registry import errors
from pier_registry.actions import delete, files
from pier_registry.actions.registry import Registry, local_admin
from pier_registry.metadata import duties, events, leases, refcounts, repositories, sessions, uploads
from pier_registry.metadata.refcounts import Released
from pier_registry.metadata.session import Transaction

log = logging.getLogger("pier.reclaim")

_BATCH: Final = 100
_DAY: Final = 86_400_000
_DUTY: Final = "reclaim"
_ABANDONED: Final = 30_000


class Reclaimer:
    """A thread that works everything off every `interval` seconds while it holds the duty."""

    def __init__(self, registry: Registry, interval: float | None = None) -> None:
        settings = registry.settings
        self._registry = registry
        self._interval = interval or max(0.5, min(30.0, settings.lease / 4, settings.upload_timeout / 4))
        self._stop = threading.Event()
        self._holder = duties.new_holder()
        self._thread = threading.Thread(target=self._run, name="reclaim", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(timeout=10)
        try:
            self._registry.metadata.write(lambda tx: duties.lay_down(tx, _DUTY, self._holder))
        except errors.PierError:
            log.info("duty not laid down: it ends by itself")

    def _run(self) -> None:
        while not self._stop.wait(self._interval):
            try:
                self.turn()
            except (errors.PierError, OSError) as trouble:
                log.warning("reclaim put off", extra={"error": str(trouble)})
            except Exception:
                log.exception("reclaim failed")

    def turn(self) -> bool:
        """One pass, if the duty is ours; says whether it was."""
        life = int(max(60.0, 4 * self._interval) * 1000)
        mine = self._registry.metadata.write(lambda tx: duties.take(tx, _DUTY, self._holder, life))
        if mine:
            work_off(self._registry)
        return mine


def work_off(registry: Registry) -> None:
    """Everything that is due, in small transactions."""
    _expired_leases(registry)
    _idle_uploads(registry)
    _hidden_repositories(registry)
    _empty_repositories(registry)
    while files.work_off(registry, _BATCH) == _BATCH:
        pass
    _stray_uploads(registry)
    registry.metadata.write(lambda tx: events.fold(tx, tx.now - registry.settings.event_days * _DAY))
    registry.storage.restore_ballast()


def _expired_leases(registry: Registry) -> None:
    def work(tx: Transaction) -> tuple[int, Released]:
        freed = leases.drop_expired(tx, _BATCH)
        released = refcounts.reap_freed(tx, freed)
        if released.size:
            events.add(tx, "#lease", "reclaim", freed=released.size)
        return len(freed), released

    _until_done(registry, work)


def _until_done(registry: Registry, work: Callable[[Transaction], tuple[int, Released]]) -> None:
    while True:
        count, released = files.forget(registry, work)
        files.drop(registry, released.layers)
        if count < _BATCH:
            return


def _idle_uploads(registry: Registry) -> None:
    idle = int(registry.settings.upload_timeout * 1000)
    registry.metadata.write(lambda tx: sessions.drop_idle(tx, tx.now - idle, life=registry.lease))
    while files.forget(registry, lambda tx: uploads.drop_idle(tx, tx.now - idle, _BATCH)) >= _BATCH:
        pass


def _hidden_repositories(registry: Registry) -> None:
    for row_id in registry.metadata.read(lambda tx: repositories.hidden(tx, _ABANDONED)):
        delete.finish(registry, local_admin(), f"#{row_id}", row_id)


def _empty_repositories(registry: Registry) -> None:
    """The reaping of a lease may take a repository's last manifest."""

    def work(tx: Transaction) -> int:
        found = repositories.empty(tx, _BATCH)
        for row_id in found:
            repositories.remove_if_empty(tx, row_id)
        return len(found)

    while files.forget(registry, work) == _BATCH:
        pass


def _stray_uploads(registry: Registry) -> None:
    """Parts of uploads that a kill left without a row."""
    old = time.time() - registry.settings.upload_timeout
    stray = [file.path for file in registry.storage.uploads() if file.modified < old]
    if not stray:
        return
    known = registry.metadata.read(uploads.uuids)
    for path in stray:
        if path.removeprefix("uploads/")[:36] not in known:
            registry.storage.remove(path)
