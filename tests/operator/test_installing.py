"""From an empty spec to a registry that takes pushes."""

from __future__ import annotations

import time

import pytest

from pier_operator.api import EVENT, KINDS
from tests.operator.cluster import UNGATED, Cluster, Operator, eventually


def test_an_empty_spec_becomes_a_registry_that_takes_pushes(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    cluster.node.served.add(namespace)
    cluster.create(namespace)
    ready = cluster.wait_for(namespace, "Ready", "Ready", within=60)
    assert ready["status"] == "True"
    password = cluster.secret(namespace, "pier-admin")["password"]
    with cluster.client(namespace, "admin", password) as client:
        assert client.get("/v2/").status_code == 200
        assert client.post("/v2/library/app/blobs/uploads/").status_code == 202
    told = cluster.plane.kubectl("wait", "--for=condition=Ready", "pier/pier", "-n", namespace, "--timeout=5s")
    assert "condition met" in told
    events = cluster.kube.every(EVENT, namespace)
    reasons = [each["reason"] for each in events if each["involvedObject"]["kind"] == "PierRegistry"]
    assert {"Migrated", "Ready", "Reachable"} <= set(reasons)
    assert len(reasons) < 12
    columns = cluster.plane.kubectl("get", "pierregistries", "-n", namespace, "--no-headers").split()
    assert columns[:5] == ["pier", "True", "Ready", f"pier.{namespace}.svc", "0.1.0"]


@pytest.mark.alone
def test_what_needs_nothing_is_made_at_once(cluster: Cluster, operator: Operator, namespace: str) -> None:
    cluster.node.hold(namespace, "database")
    began = time.monotonic()
    cluster.create(namespace)
    eventually(lambda: set(cluster.children(namespace)) == UNGATED, 10, lambda: str(cluster.children(namespace).keys()))
    assert time.monotonic() - began < 3


@pytest.mark.alone
def test_each_step_waits_for_the_one_before(cluster: Cluster, operator: Operator, namespace: str) -> None:
    cluster.node.hold(namespace, "database", "migration", "registry")
    cluster.create(namespace)
    cluster.wait_for(namespace, "DatabaseReady", "Starting")
    assert not cluster.kube.every(KINDS["Job"], namespace)
    cluster.node.release(namespace, "database")
    cluster.wait_for(namespace, "SchemaMigrated", "Migrating")
    assert cluster.get("Deployment", namespace) is None
    cluster.node.release(namespace, "migration")
    cluster.wait_for(namespace, "SchemaMigrated", "Migrated")
    began = time.monotonic()
    eventually(lambda: cluster.get("Deployment", namespace))
    assert time.monotonic() - began < 1
    cluster.wait_for(namespace, "RegistryAvailable", "Starting")


def test_the_resource_stays_clean(cluster: Cluster, operator: Operator, namespace: str) -> None:
    cluster.create(namespace)
    cluster.wait_for(namespace, "DatabaseReady", "Ready")
    found = cluster.get("PierRegistry", namespace)
    assert found
    assert "finalizers" not in found["metadata"]
    assert not found["metadata"].get("annotations")


def test_at_rest_nothing_is_written(cluster: Cluster, operator: Operator, namespace: str) -> None:
    cluster.create(namespace)
    cluster.wait_for(namespace, "RegistryAvailable", "Available")
    eventually(lambda: _rests(operator), 20)
    before = operator.writes(), _versions(cluster, namespace)
    cluster.change(namespace, metadata={"annotations": {"look": "again"}})
    looks = operator.metric("pier_operator_reconciles_total")
    eventually(lambda: operator.metric("pier_operator_reconciles_total") > looks)
    assert (operator.writes(), _versions(cluster, namespace)) == before


def _versions(cluster: Cluster, namespace: str) -> dict[tuple[str, str], str]:
    return {key: each["metadata"]["resourceVersion"] for key, each in cluster.children(namespace).items()}


def _rests(operator: Operator) -> bool:
    before = operator.writes()
    time.sleep(1)
    return operator.writes() == before
