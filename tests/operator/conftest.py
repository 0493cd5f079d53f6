"""A cluster and an operator, once for all tests of a run; a namespace for each test."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from pier_operator.api import NAMESPACE
from tests.operator.cluster import Cluster, Operator, eventually, with_api, with_pier
from tests.parts import control_plane
from tests.parts.control_plane import ControlPlane

_numbers = itertools.count(1)


@pytest.fixture(scope="package")
def lonely() -> Iterator[ControlPlane]:
    """A control plane with Pier's API, where nothing acts by itself: no controllers, no node, no operator."""
    with control_plane.running(controllers=False) as plane:
        with_api(plane)
        yield plane


@pytest.fixture(scope="package")
def cluster() -> Iterator[Cluster]:
    with control_plane.running() as plane, with_pier(plane) as cluster:
        cluster.node.start()
        yield cluster


@pytest.fixture(scope="package")
def operator(cluster: Cluster) -> Iterator[Operator]:
    """The operator as a process, with the rights of rbac.yaml and no others."""
    running = Operator(cluster.plane)
    running.start()
    try:
        eventually(running.is_ready, 30, lambda: running.log.read_text()[-4000:])
        yield running
    finally:
        running.stop()


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """Deleted at the end, without waiting for it."""
    name = f"test-{next(_numbers)}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
    cluster.kube.request("POST", "/api/v1/namespaces", body=body)
    yield name
    cluster.node.held = {place for place in cluster.node.held if place[0] != name}
    if cluster.kube.get(NAMESPACE, "", name):
        body = {"kind": "DeleteOptions", "apiVersion": "v1"}
        cluster.kube.request("DELETE", f"/api/v1/namespaces/{name}", body=body)
