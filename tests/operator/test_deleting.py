"""What a resource leaves behind when it goes, and finds again when it comes back."""

from __future__ import annotations

import pytest

from pier_operator import api
from tests.operator.cluster import Cluster, Operator, eventually

RETAINED = {
    ("PersistentVolumeClaim", "pier-data"), ("PersistentVolumeClaim", "pier-mysql"),
    ("Secret", "pier-admin"), ("Secret", "pier-users"), ("Secret", "pier-ca"), ("Secret", "pier-db"),
}  # fmt: skip


@pytest.fixture
def installed(cluster: Cluster, operator: Operator, namespace: str) -> str:
    cluster.create(namespace)
    cluster.wait_for(namespace, "RegistryAvailable", "Available", within=30)
    return namespace


def test_data_and_keys_outlive_the_resource_and_are_found_again(cluster: Cluster, installed: str) -> None:
    before = {name: cluster.secret(installed, name) for kind, name in RETAINED if kind == "Secret"}
    claim = cluster.get("PersistentVolumeClaim", installed, "pier-data")
    cluster.delete("PierRegistry", installed, "pier")
    eventually(lambda: set(cluster.children(installed)) == RETAINED, 30, lambda: str(set(cluster.children(installed))))
    cluster.create(installed)
    cluster.wait_for(installed, "RegistryAvailable", "Available", within=30)
    assert {name: cluster.secret(installed, name) for kind, name in RETAINED if kind == "Secret"} == before
    again, owner = cluster.get("PersistentVolumeClaim", installed, "pier-data"), cluster.get("PierRegistry", installed)
    assert claim
    assert again
    assert owner
    assert again["metadata"]["uid"] == claim["metadata"]["uid"]
    assert api.labels_of(again)[api.OWNER_UID] == owner["metadata"]["uid"]


def test_everything_goes_when_that_was_asked_for(cluster: Cluster, installed: str) -> None:
    cluster.change(installed, spec={"deletionPolicy": "Delete"})
    eventually(lambda: all(api.controller_of(each) for each in cluster.children(installed).values()))
    status = eventually(lambda: (cluster.get("PierRegistry", installed) or {}).get("status"))
    eventually(lambda: (cluster.get("PierRegistry", installed) or {})["status"]["deletionPolicy"] == "Delete")
    assert status
    cluster.delete("PierRegistry", installed, "pier")
    eventually(lambda: not cluster.children(installed), 30, lambda: str(set(cluster.children(installed))))


def test_a_policy_that_is_taken_back_keeps_the_data(cluster: Cluster, installed: str) -> None:
    cluster.change(installed, spec={"deletionPolicy": "Delete"})
    eventually(lambda: all(api.controller_of(each) for each in cluster.children(installed).values()))
    cluster.change(installed, spec={"deletionPolicy": "Retain"})
    eventually(lambda: _unowned(cluster, installed) == RETAINED, 20, lambda: str(_unowned(cluster, installed)))


def _unowned(cluster: Cluster, namespace: str) -> set[tuple[str, str]]:
    return {key for key, each in cluster.children(namespace).items() if not api.controller_of(each)}


def test_a_namespace_that_goes_is_left_in_peace(cluster: Cluster, operator: Operator, installed: str) -> None:
    broken = operator.metric("pier_operator_reconciles_total")
    body = {"kind": "DeleteOptions", "apiVersion": "v1"}
    cluster.kube.request("DELETE", f"/api/v1/namespaces/{installed}", body=body)
    eventually(lambda: cluster.kube.get(api.NAMESPACE, "", installed) is None, 60)
    assert operator.metric("pier_operator_reconciles_total") - broken < 60
    assert "a fault of the operator" not in operator.log.read_text()


def test_while_paused_nothing_is_changed(cluster: Cluster, operator: Operator, installed: str) -> None:
    eventually(lambda: operator.told_ready(installed))
    cluster.change(installed, spec={"paused": True})
    eventually(lambda: cluster.condition(installed, "Paused").get("status") == "True")
    cluster.delete("ConfigMap", installed, "pier-ca")
    cluster.change(installed, spec={"registry": {"workers": 7}})
    eventually(lambda: (cluster.get("PierRegistry", installed) or {})["status"]["phase"] == "Paused")
    assert cluster.get("ConfigMap", installed, "pier-ca") is None
    eventually(lambda: operator.told_ready(installed) == "")
    cluster.change(installed, spec={"paused": False})
    eventually(lambda: cluster.get("ConfigMap", installed, "pier-ca"))
    eventually(lambda: not cluster.condition(installed, "Paused"))
