"""The operator's single road in this process, one look at a time, with faults where a test wants them."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Final

from pier_operator import api, work
from pier_operator.api import Manifest
from pier_operator.cache import Cache, Key
from pier_operator.chance import SystemChance
from pier_operator.kube import Kube, KubeError, Refused, Unreachable
from pier_operator.reconcile import Reconciler
from pier_operator.settings import Settings

Fault = Callable[[Callable[[], Manifest]], Manifest]
Ask = tuple[str, str, int]  # method, path without its namespace and a Job's digest, how often before


class Killed(BaseException):
    """As SIGKILL: nothing catches it."""


def _conflict(_ask: Callable[[], Manifest]) -> Manifest:
    raise Refused(409, "Conflict", "the object has been modified")


def _busy(_ask: Callable[[], Manifest]) -> Manifest:
    raise Refused(429, "TooManyRequests", "try again", 0.01)


def _broken(_ask: Callable[[], Manifest]) -> Manifest:
    raise Refused(500, "InternalError", "etcd has no leader")


def _reset(_ask: Callable[[], Manifest]) -> Manifest:
    raise Unreachable("connection reset")


def _lost(ask: Callable[[], Manifest]) -> Manifest:
    ask()
    raise Unreachable("the answer was lost")


def _killed(_ask: Callable[[], Manifest]) -> Manifest:
    raise Killed


def _killed_after(ask: Callable[[], Manifest]) -> Manifest:
    ask()
    raise Killed


FAULTS: Final[dict[str, Fault]] = {
    "409": _conflict,
    "429": _busy,
    "500": _broken,
    "reset": _reset,
    "lost answer": _lost,
    "kill before": _killed,
    "kill after": _killed_after,
}


class FaultyKube(Kube):
    """Remembers what it was asked for, and what of that were writes; meets a fault once at each of `faulty`."""

    def __init__(self, kube: Kube, faulty: Iterable[Ask] = (), fault: Fault = _broken) -> None:
        super().__init__(kube._client)
        self.asked: list[Ask] = []
        self.writes: list[str] = []
        self.left = set(faulty)
        self._fault = fault
        self._times: Counter[tuple[str, str]] = Counter()

    def request(self, method: str, target: str, *rest: Any, **more: Any) -> Manifest:
        place = re.sub(r"/namespaces/[^/]+|-[0-9a-f]{8}$", "", target)
        ask = (method, place, self._times[method, place])
        self._times[method, place] += 1
        self.asked.append(ask)
        if method != "GET":
            self.writes.append(f"{method} {target}")
        if ask in self.left:
            self.left.remove(ask)
            return self._fault(lambda: Kube.request(self, method, target, *rest, **more))
        return Kube.request(self, method, target, *rest, **more)


@dataclass(slots=True)
class InProcess:
    """An operator that is told when to look. It is started anew when it has been killed."""

    kube: FaultyKube
    settings: Settings = field(default_factory=Settings)
    reconciler: Reconciler = field(init=False)
    cache: Cache = field(init=False)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        """With the memory of a process that has just begun."""
        self.cache = Cache()
        self.reconciler = Reconciler(self.kube, self.cache, self.settings, SystemChance(cost=4))

    def upgraded(self, **settings: Any) -> InProcess:
        return InProcess(self.kube, replace(self.settings, **settings))

    def refresh(self, namespace: str) -> None:
        """As the watches would; their own faults are kopf's to bear."""
        work.refresh(Kube(self.kube._client), self.cache, (namespace,))

    def look(self, key: Key) -> float | None:
        """Until a look ends well, as the queue would have it."""
        for _ in itertools.repeat(None, 12):
            try:
                return self.reconciler.reconcile(key)
            except Killed:
                self.start()
                self.refresh(key[0])
            except KubeError:
                continue
        raise AssertionError("it does not recover from faults")


def has_become(kube: Kube, namespace: str, name: str) -> None:
    """Play controllers and kubelet: whatever there is of workloads has become what it should."""
    for kind in ("StatefulSet", "Deployment", "Job"):
        for each in kube.every(api.KINDS[kind], namespace, f"{api.REGISTRY}={name}"):
            generation, wanted = each["metadata"]["generation"], each["spec"].get("replicas", 1)
            counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas"), wanted)
            status: Manifest = {**counts, "observedGeneration": generation}
            if kind == "StatefulSet":
                status |= {"currentRevision": "a", "updateRevision": "a"}
            if kind == "Job":
                status = {
                    "startTime": "2026-01-01T00:00:00Z",
                    "completionTime": "2026-01-01T00:00:01Z",
                    "succeeded": 1,
                    "conditions": [
                        {"type": kind_, "status": "True", "reason": "Done", "message": ""}
                        for kind_ in ("SuccessCriteriaMet", "Complete")
                    ],
                }
            plural = api.KINDS[kind]
            root = f"/apis/{plural.group}/{plural.version}/namespaces/{namespace}/{plural.plural}"
            target = f"{root}/{each['metadata']['name']}/status"
            kube.request("PATCH", target, body={"status": status}, form="application/merge-patch+json")
