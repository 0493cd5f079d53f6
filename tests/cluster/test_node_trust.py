"""Nodes that are told by the operator whom to trust: pods run images from the registry without another hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.clients.programs import CRANE
from tests.cluster.cluster import ENFORCED, HOSTS, SYSTEM, Cluster
from tests.cluster.conftest import behind_ingress
from tests.cluster.hosts import client_of
from tests.cluster.registry import Registry
from tests.cluster.running import runs
from tests.operator.cluster import eventually

_HOST = HOSTS[3]


@pytest.fixture(scope="module")
def allowing(cluster: Cluster, installed: str) -> Iterator[Cluster]:
    """Who runs the cluster allows the host, and agents in the operator's namespace."""
    cluster.kubectl("label", "namespace", SYSTEM, f"{ENFORCED}=privileged", "--overwrite")
    cluster.install(installed, f"--set=nodeTrust.allowedHosts={{{_HOST}}}")
    yield cluster
    cluster.install(installed)
    cluster.kubectl("label", "namespace", SYSTEM, f"{ENFORCED}=restricted", "--overwrite")


def test_a_pod_runs_an_image_from_a_registry_that_nodes_were_told_of(
    allowing: Cluster, another: Callable[[], Registry], saved_images: dict[str, Path]
) -> None:
    registry = another()
    registry.create(**behind_ingress(_HOST), nodeTrust={"enabled": True})
    registry.wait()
    told = registry.wait("NodesTrust", reason="Trusted")
    assert _HOST in told["message"]
    assert registry.status["nodeTrust"] == {"nodes": 1, "trusted": 1}
    with client_of(CRANE, registry) as client:
        client.terminal.run(f"crane push {saved_images['small']} {registry.host}/team/small:1")
    runs(registry, "team/small:1")
    files = f"/etc/containerd/certs.d/{_HOST}"
    assert "hosts.toml" in allowing.machine.run("ls", files)
    registry.change(nodeTrust={"enabled": False})
    eventually(lambda: _HOST not in allowing.machine.run("ls", "/etc/containerd/certs.d"), 90, registry.told)
    assert registry.condition("NodesTrust")["reason"] == "NotRequested"
