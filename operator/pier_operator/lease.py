"""One operator works at a time: it holds the Lease `pier-operator`, and ends when it loses it."""

from __future__ import annotations

import logging
import threading
import time
from datetime import UTC, datetime
from typing import Final

from pier_operator import api, metrics
from pier_operator.api import Manifest
from pier_operator.kube import Kube, KubeError, Refused

NAME: Final = "pier-operator"

_log = logging.getLogger("pier.lease")


class Lease:
    """Held by renewing it three times in its life. Another's is free when it has stood still for a life."""

    def __init__(self, kube: Kube, namespace: str, identity: str, life: int) -> None:
        self._kube = kube
        self._namespace = namespace
        self._identity = identity
        self._life = life
        self._seen: tuple[str, str] = ("", "")
        self._seen_at = time.monotonic()
        self.renewed_at = 0.0

    def acquire(self, ended: threading.Event) -> bool:
        """Wait until it is ours; False when asked to end before."""
        while not ended.is_set():
            if self._try():
                _log.info("%s holds the Lease", self._identity)
                metrics.LEADING.set(1)
                return True
            ended.wait(self._life / 5)
        return False

    def keep(self, ended: threading.Event) -> bool:
        """Renew until asked to end, then let go: True. False when it is lost."""
        while not ended.wait(self._life / 3):
            if not self._try() and time.monotonic() - self.renewed_at > self._life * 0.8:
                metrics.LEADING.set(0)
                return False
        self._release()
        return True

    def _try(self) -> bool:
        try:
            return self._taken(self._kube.get(api.LEASES, self._namespace, NAME))
        except KubeError as wrong:
            _log.warning("Lease not renewed: %s", wrong.message)
            return False

    def _taken(self, held: Manifest | None) -> bool:
        if held is None:
            self._kube.create(self._manifest({}))
        elif self._is_free(held["spec"]):
            self._kube.replace({**held, "spec": self._manifest(held["spec"])["spec"]})
        else:
            return False
        self.renewed_at = time.monotonic()
        return True

    def _is_free(self, spec: Manifest) -> bool:
        """Clocks of two hosts are not compared: what counts is how long we have seen nothing move."""
        holder = spec.get("holderIdentity") or ""
        seen = (holder, str(spec.get("renewTime")))
        if seen != self._seen:
            self._seen, self._seen_at = seen, time.monotonic()
        stale = time.monotonic() - self._seen_at > spec.get("leaseDurationSeconds", self._life)
        return holder in {"", self._identity} or stale

    def _manifest(self, before: Manifest) -> Manifest:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        mine = before.get("holderIdentity") == self._identity
        spec = {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": self._life,
            "acquireTime": before.get("acquireTime", now) if mine else now,
            "renewTime": now,
            "leaseTransitions": before.get("leaseTransitions", -1) + (0 if mine else 1),
        }
        meta = {"name": NAME, "namespace": self._namespace, "labels": {api.LEASE: "lease"}}
        return {"apiVersion": api.LEASES.api_version, "kind": "Lease", "metadata": meta, "spec": spec}

    def _release(self) -> None:
        """The next one need not wait. A fault here costs it a few seconds."""
        try:
            held = self._kube.get(api.LEASES, self._namespace, NAME)
            if held and held["spec"].get("holderIdentity") == self._identity:
                self._kube.replace({**held, "spec": {**held["spec"], "holderIdentity": ""}})
        except (KubeError, Refused) as wrong:
            _log.warning("Lease not released: %s", wrong.message)
