"""A cluster and an operator, once for all tests of a run; a namespace for each test."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from pier_operator.api import NAMESPACE
from pier_operator.kube import Kube
from tests.operator.cluster import ROOT, SYSTEM, Cluster, Operator, eventually
from tests.operator.node import Node
from tests.parts import control_plane
from tests.parts.control_plane import ControlPlane

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def plane() -> Iterator[ControlPlane]:
    """A control plane with Pier's API and the operator's account."""
    with control_plane.running() as plane:
        plane.kubectl("apply", "-f", str(ROOT / "crds"))
        plane.kubectl("create", "namespace", SYSTEM)
        plane.kubectl("create", "serviceaccount", "pier-operator", "-n", SYSTEM)
        plane.kubectl("apply", "-f", str(ROOT / "operator" / "rbac.yaml"))
        account = f"--serviceaccount={SYSTEM}:pier-operator"
        for role in ("pier-operator", "pier-operator-cluster"):
            plane.kubectl("create", "clusterrolebinding", role, f"--clusterrole={role}", account)
        plane.kubectl("create", "rolebinding", "lease", "-n", SYSTEM, "--role=pier-operator-lease", account)
        plane.kubectl("wait", "--for=condition=Established", "crd", "pierregistries.registry.pier.dev")
        yield plane


@pytest.fixture(scope="session")
def lonely() -> Iterator[ControlPlane]:
    """A control plane with Pier's API, where nothing acts by itself: no controllers, no node, no operator."""
    with control_plane.running(controllers=False) as plane:
        plane.kubectl("apply", "-f", str(ROOT / "crds"))
        plane.kubectl("wait", "--for=condition=Established", "crd", "pierregistries.registry.pier.dev")
        yield plane


@pytest.fixture(scope="session")
def cluster(plane: ControlPlane) -> Iterator[Cluster]:
    kube = Kube.connected(plane.kubeconfig)
    node = Node(kube)
    node.start()
    try:
        yield Cluster(plane, kube, node)
    finally:
        node.stop()


@pytest.fixture(scope="session")
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
