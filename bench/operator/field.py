"""A control plane with Pier's API and an operator that works, each measurement with its own."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Final

import httpx

from bench.client import Unexpected
from bench.operator.witness import Witness
from bench.stage import Bench
from pier_operator.api import Manifest
from pier_operator.kube import KubeError
from tests.operator.cluster import Cluster, Operator, eventually, with_pier
from tests.parts.control_plane import ControlPlane

# As it comes; the tests have a shorter one.
_SETTINGS: Final = {"PIER_OPERATOR_LEASE": "15"}
_QUIET: Final = 1.0  # seconds without a look, which is longer than the queue holds anything back


@dataclass(frozen=True, slots=True)
class Field:
    """The node of `cluster` plays no kubelet until it is started."""

    cluster: Cluster
    operator: Operator
    witness: Witness

    def start(self) -> None:
        """Until it holds the Lease, and so works."""
        self.operator.start()
        eventually(lambda: _leads(self.operator), 30, lambda: self.operator.log.read_text()[-2000:])

    def namespace(self, name: str) -> str:
        self.cluster.kube.request(
            "POST",
            "/api/v1/namespaces",
            body={"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}},
        )
        return name

    def looks(self) -> int:
        """How often the operator has looked at a registry, however that ended."""
        return int(self.operator.metric("pier_operator_reconciles_total"))

    def rested(self, within: float = 60) -> int:
        """Wait until the operator looks at nothing any more; returns how often it has looked."""
        deadline = time.monotonic() + within
        before = -1
        while (looks := self.looks()) != before:
            if time.monotonic() > deadline:
                raise Unexpected(f"the operator does not come to rest: it has looked {looks} times, and goes on")
            before = looks
            time.sleep(_QUIET)
        return looks


@contextmanager
def working(bench: Bench, make: Callable[..., ControlPlane] = ControlPlane) -> Iterator[Field]:
    """Raises Unexpected for what has not come to be."""
    home = bench.folder / "plane"
    home.mkdir()
    plane = make(home)
    with ExitStack() as ending:
        ending.callback(plane.__exit__)
        try:
            cluster = ending.enter_context(with_pier(plane.__enter__()))
            operator = Operator(plane, settings=_SETTINGS)
            ending.callback(operator.stop)
            here = Field(cluster, operator, Witness.of(plane))
            here.start()
            yield here
        except (AssertionError, KubeError) as wrong:
            raise Unexpected(str(wrong)) from wrong


def is_told(manifest: Manifest) -> bool:
    """Whether the status tells of this very spec."""
    status = manifest.get("status") or {}
    told = any(each["type"] == "Ready" for each in status.get("conditions", []))
    return told and status.get("observedGeneration") == manifest["metadata"]["generation"]


def _leads(operator: Operator) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return operator.asked("/readyz").status_code == 200 and operator.metric("pier_operator_leading") == 1
    return False
