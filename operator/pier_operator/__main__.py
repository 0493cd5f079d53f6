"""`python -m pier_operator`: watch with kopf, lead with a Lease, work with threads."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
import threading
import time
from typing import Final

import kopf

from pier_operator import api, handlers, health, memory, work
from pier_operator.cache import Cache
from pier_operator.chance import SystemChance
from pier_operator.kube import Kube, KubeError, Unconfigured
from pier_operator.lease import Lease
from pier_operator.queue import Queue
from pier_operator.reconcile import Reconciler
from pier_operator.settings import Misconfigured, Settings

_SILENT: Final = 120.0  # seconds without the echo of our own Lease in which the watches must have died
_SETTLING: Final = 15.0  # seconds until what happened between the first list and the watches is looked for

_log = logging.getLogger("pier.operator")


class Operator:
    """One process. `ended` is set when it has been asked to end."""

    def __init__(self, settings: Settings, kube: Kube) -> None:
        self.settings = settings
        self.kube = kube
        self.queue = Queue()
        self.cache = Cache(self.queue)
        self.ended = threading.Event()
        self.heard_at = time.monotonic()
        self.lease = Lease(
            kube, settings.namespace, settings.identity or f"{socket.gethostname()}-{os.getpid()}", settings.lease
        )
        self.leading = self.working = False
        self.watching = threading.Event()
        self.reconciler = Reconciler(kube, self.cache, settings, SystemChance())
        self.workers = work.Workers(self.reconciler, self.queue, settings.workers)

    def run(self) -> None:
        """Until SIGTERM or SIGINT, which kopf takes."""
        server = health.serve(self.settings.port, self.alive, self.ready)
        leader = threading.Thread(target=self._lead, name="leader", daemon=True)
        leader.start()
        try:
            asyncio.run(self._watch())
        finally:
            self.queue.close()
            self.workers.join(10)
            self.ended.set()  # lets go of the Lease, so nothing is written after it
            leader.join(timeout=10)
            server.shutdown()

    def alive(self) -> str:
        if self.leading and time.monotonic() - self.heard_at > _SILENT and not self.settings.watch_namespaces:
            return "the watches tell nothing any more"
        return self.workers.trouble()

    def ready(self) -> str:
        return "" if self.watching.is_set() else "not watching yet"

    async def _watch(self) -> None:
        namespaces = self.settings.watch_namespaces
        settings = handlers.settled(kopf.OperatorSettings())
        settings.scanning.disabled = bool(namespaces)
        await kopf.operator(
            registry=handlers.registered(self.cache, self._hear, bool(namespaces)),
            settings=settings,
            clusterwide=not namespaces,
            namespaces=namespaces,
            ready_flag=self.watching,
        )

    def _hear(self) -> None:
        self.heard_at = time.monotonic()

    def _lead(self) -> None:
        """Until then the watches fill cache and queue, and nobody works."""
        if not self.lease.acquire(self.ended):
            return
        self.heard_at = time.monotonic()
        self.leading = True
        threading.Thread(target=self._refresh, name="refresh", daemon=True).start()
        if not self.lease.keep(self.ended):
            _log.error("the Lease is lost, so another operator may work: this one ends")
            os._exit(1)

    def _refresh(self) -> None:
        """List everything before the first work, soon after, and then every resync."""
        waits = [0.0, _SETTLING]
        known: frozenset[str] | None = None
        while not self.ended.wait(waits.pop(0) if waits else self.settings.resync):
            try:
                kinds = self.reconciler.discovery.kinds()
                news = work.refresh(self.kube, self.cache, self.settings.watch_namespaces, kinds)
            except KubeError as wrong:
                _log.warning("not listed: %s", wrong.message)
                waits.insert(0, 1.0)
                continue
            memory.trim()
            self.reconciler.agents.tidy()
            if known is not None and kinds != known and self.settings.watch_namespaces:
                _log.info("there are other kinds than before: a new process watches them")
                os.kill(os.getpid(), signal.SIGTERM)
            known = kinds
            if not self.working:
                self._start()
            for key in news:
                self.queue.add(key)

    def _start(self) -> None:
        self.working = True
        for manifest in self.cache.registries():
            self.queue.add((manifest["metadata"]["namespace"], api.name_of(manifest)))
        self.workers.start()


def main() -> int:
    logging.basicConfig(
        level=os.environ.get("LOG_LEVEL", "INFO"), format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    logging.getLogger("kopf").setLevel(logging.WARNING)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    try:
        Operator(Settings.load(), Kube.connected()).run()
    except (Misconfigured, Unconfigured) as wrong:
        print(f"pier-operator: {wrong}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
