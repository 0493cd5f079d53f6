"""Who watches what the API server tells of a registry's children, and remembers when."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx

from bench.client import Unexpected
from pier_operator import api
from pier_operator.api import Kind, Manifest
from pier_operator.kube import path
from tests.operator.cluster import eventually
from tests.parts.control_plane import ControlPlane

Holds = Callable[[Manifest], bool]


def _is_there(_manifest: Manifest) -> bool:
    return True


@dataclass(slots=True)
class Witness:
    """Watches until the API server ends. Times are those of the monotonic clock when the event came."""

    client: httpx.Client
    _events: list[tuple[float, Manifest]] = field(default_factory=list)
    _faults: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, plane: ControlPlane) -> Witness:
        """Every kind that the operator makes, of every namespace."""
        trusting = ssl.create_default_context(cafile=str(plane.ca))
        trusting.load_cert_chain(plane.home / "tls" / "admin.crt", plane.home / "tls" / "admin.key")
        witness = cls(httpx.Client(base_url=plane.url, verify=trusting, timeout=httpx.Timeout(10, read=None)))
        for kind in api.BUILT_IN:
            threading.Thread(target=witness._watch, args=(kind,), name=f"watching {kind.plural}", daemon=True).start()
        return witness

    def moment(self, namespace: str, kind: str, name: str = "", holds: Holds = _is_there) -> float:
        """When this was first seen to hold. Raises AssertionError when it does not come to hold, Unexpected."""
        told = f"{kind} {name} of {namespace} has not become what it should"
        return eventually(lambda: self._seen(namespace, kind, name, holds), 60, lambda: told)

    def _seen(self, namespace: str, kind: str, name: str, holds: Holds) -> float | None:
        if self._faults:
            raise Unexpected(f"a watch has ended: {self._faults[0]}")
        for when, manifest in list(self._events):
            meta = manifest["metadata"]
            here = meta["namespace"] == namespace and manifest["kind"] == kind and name in {"", meta["name"]}
            if here and holds(manifest):
                return when
        return None

    def _watch(self, kind: Kind) -> None:
        """From what the API server has in its cache, so that the watch begins at once."""
        query = {"watch": "1", "labelSelector": api.REGISTRY, "resourceVersion": "0"}
        try:
            with self.client.stream("GET", path(kind), params=query) as answer:
                for line in answer.iter_lines():
                    self._note(json.loads(line))
        except httpx.TransportError:
            return  # the API server has ended

    def _note(self, event: Manifest) -> None:
        if event["type"] == "ERROR":
            self._faults.append(str(event["object"].get("message")))
        else:
            self._events.append((time.monotonic(), event["object"]))
