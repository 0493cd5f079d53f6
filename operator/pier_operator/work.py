"""The workers: they take keys from the queue and walk the single road with them."""

from __future__ import annotations

import logging
import threading
import time
from typing import Final

from pier_operator import api, metrics
from pier_operator.cache import Cache, Key
from pier_operator.kube import Kube, KubeError
from pier_operator.queue import Queue
from pier_operator.reconcile import Reconciler

HUNG: Final = 300.0  # seconds that no look at a registry takes

_log = logging.getLogger("pier.work")


class Workers:
    """Threads that work until the queue is closed."""

    def __init__(self, reconciler: Reconciler, queue: Queue, count: int) -> None:
        self._reconciler = reconciler
        self._queue = queue
        self._threads = [threading.Thread(target=self._work, name=f"worker-{n}", daemon=True) for n in range(count)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def join(self, patience: float) -> None:
        """After the queue was closed: until each has ended the look that it is at, or for so many seconds in all."""
        deadline = time.monotonic() + patience
        for thread in self._threads:
            if thread.ident:
                thread.join(timeout=max(deadline - time.monotonic(), 0))

    def trouble(self) -> str:
        """Why the process should be started anew; empty while all is well."""
        if any(thread.ident and not thread.is_alive() for thread in self._threads) and not self._queue.closed:
            return "a worker has ended"
        if self._queue.oldest() > HUNG:
            return "a worker hangs"
        return ""

    def _work(self) -> None:
        while not self._queue.closed:
            key = self._queue.take()
            if key is not None:
                self._look(key)

    def _look(self, key: Key) -> None:
        """Whatever goes wrong with one registry is logged and tried again; the others go on."""
        try:
            with metrics.SECONDS.time():
                wait = self._reconciler.reconcile(key)
        except KubeError as wrong:
            metrics.RECONCILES.labels("retried").inc()
            _log.warning("%s/%s: %s; again in %.1f s", *key, wrong.message, self._queue.failed(key, wrong.retry_after))
        except Exception:  # noqa: BLE001  the door of a worker
            metrics.RECONCILES.labels("broken").inc()
            _log.exception("%s/%s: a fault of the operator; again in %.1f s", *key, self._queue.failed(key))
        else:
            metrics.RECONCILES.labels("done").inc()
            self._queue.done(key)
            if wait is None:
                self._queue.forget(key)
            else:
                self._queue.add(key, wait)


def refresh(kube: Kube, cache: Cache, namespaces: tuple[str, ...], optional: frozenset[str] = frozenset()) -> set[Key]:
    """List everything anew; returns the registries that there is news for. Raises KubeError."""
    news: set[Key] = set()
    for kind in (*api.BUILT_IN, api.POD, *(each for each in api.OPTIONAL if each.name in optional)):
        news |= _refreshed(kube, cache, kind.name, namespaces, api.REGISTRY)
    return news | _refreshed(kube, cache, api.PIER_REGISTRY.name, namespaces, "")


def _refreshed(kube: Kube, cache: Cache, kind: str, namespaces: tuple[str, ...], selector: str) -> set[Key]:
    known = api.KINDS[kind]
    since = cache.newest()
    listed = (each for namespace in namespaces or ("",) for each in kube.listed(known, namespace, selector))
    return cache.replace(kind, listed, since)
