"""What is changed or deleted by hand comes back; what is somebody else's is left alone."""

from __future__ import annotations

import time
from typing import Any

import pytest

from pier_operator import api
from pier_operator.api import Manifest
from tests.operator.cluster import Cluster, Operator, eventually

KEPT = {("Secret", "pier-admin"), ("Secret", "pier-users"), ("Secret", "pier-ca"), ("Secret", "pier-db")}


@pytest.fixture(scope="module")
def registry(cluster: Cluster, operator: Operator) -> str:
    """One registry for all tests of this file, each of which leaves it whole."""
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "repairing"}}
    cluster.kube.request("POST", "/api/v1/namespaces", body=body)
    cluster.create("repairing")
    cluster.wait_for("repairing", "RegistryAvailable", "Available", within=30)
    return "repairing"


def test_every_child_that_is_deleted_comes_back(cluster: Cluster, registry: str) -> None:
    before = cluster.children(registry)
    for kind, name in before:
        if kind != "PersistentVolumeClaim":
            cluster.delete(kind, registry, name)

    def whole() -> bool:
        now = cluster.children(registry)
        gone = [key for key, each in before.items() if each["metadata"]["uid"] == _uid(now.get(key))]
        return set(now) == set(before) and {kind for kind, _ in gone} <= {"PersistentVolumeClaim"}

    eventually(whole, 40, lambda: str(set(before) ^ set(cluster.children(registry))))
    cluster.wait_for(registry, "RegistryAvailable", "Available", within=30)


def _uid(manifest: Manifest | None) -> str:
    return manifest["metadata"]["uid"] if manifest else ""


EDITS: list[tuple[str, str, Manifest]] = [
    ("Service", "pier", {"spec": {"selector": {"app.kubernetes.io/component": "nobody"}}}),
    ("Deployment", "pier", {"spec": {"replicas": 0}}),
    ("StatefulSet", "pier-mysql", {"spec": {"template": {"spec": {"serviceAccountName": "default"}}}}),
    ("NetworkPolicy", "pier", {"spec": {"ingress": None}}),
    ("ConfigMap", "pier-ca", {"data": {"ca.crt": "nothing"}}),
    ("Secret", "pier-users-file", {"data": {"users.htpasswd": ""}}),
    ("Secret", "pier-tls", {"data": {"tls.crt": ""}}),
    ("Secret", "pier-admin", {"metadata": {"labels": {api.OWNER_UID: None}}}),
]


@pytest.mark.parametrize(("kind", "name", "edit"), EDITS, ids=[f"{kind} {name}" for kind, name, _ in EDITS])
def test_an_edit_is_taken_back(cluster: Cluster, registry: str, kind: str, name: str, edit: Manifest) -> None:
    before = cluster.get(kind, registry, name)
    assert before
    edited = cluster.patch(kind, registry, name, edit)
    assert _body(edited) != _body(before)
    eventually(lambda: _body(cluster.get(kind, registry, name)) == _body(before) or _renewed(kind, name, cluster), 10)


def _renewed(kind: str, name: str, cluster: Cluster) -> bool:
    """A certificate and hashes that were spoilt are made anew, so they are good again, and others."""
    signs = {"pier-tls": ("tls.crt", "BEGIN"), "pier-users-file": ("users.htpasswd", "admin:$2b$")}
    if kind != "Secret" or name not in signs:
        return False
    key, sign = signs[name]
    return sign in cluster.secret("repairing", name)[key]


def _body(manifest: Manifest | None) -> Any:
    assert manifest
    labels = api.labels_of(manifest)
    return {key: value for key, value in manifest.items() if key not in {"metadata", "status"}}, labels


def test_a_lost_password_is_replaced_and_told(cluster: Cluster, registry: str) -> None:
    before = cluster.secret(registry, "pier-admin")["password"]
    cluster.delete("Secret", registry, "pier-admin")
    eventually(lambda: cluster.get("Secret", registry, "pier-admin"))
    assert cluster.secret(registry, "pier-admin")["password"] != before

    def told() -> bool:
        events = cluster.kube.every(api.EVENT, registry)
        return any(each["reason"] == "PasswordReplaced" and "pier-admin" in each["message"] for each in events)

    eventually(told)


def test_a_new_database_password_rolls_mysql_then_the_registry(cluster: Cluster, registry: str) -> None:
    first, pods = cluster.secret(registry, "pier-db")["password"], _pods(cluster, registry)
    body = {"stringData": {"password": "a-password-of-my-own-choice"}}
    cluster.patch("Secret", registry, "pier-db", body)
    eventually(lambda: "a-password-of-my-own-choice" in cluster.secret(registry, "pier-db-url")["url"])
    assert cluster.secret(registry, "pier-db")["previous-password"] == first
    eventually(lambda: not _pods(cluster, registry) & pods, 40)
    cluster.wait_for(registry, "RegistryAvailable", "Available", within=30)
    eventually(lambda: "previous-password" not in cluster.secret(registry, "pier-db"), 20)
    assert cluster.secret(registry, "pier-db")["password"] == "a-password-of-my-own-choice"


def _pods(cluster: Cluster, registry: str) -> set[str]:
    running = [each for each in cluster.kube.every(api.POD, registry) if each["status"]["phase"] == "Running"]
    return {each["metadata"]["uid"] for each in running}


def test_what_others_add_stays(cluster: Cluster, registry: str) -> None:
    theirs = {"metadata": {"annotations": {"argocd.example.org/tracking": "x"}, "labels": {"theirs": "yes"}}}
    cluster.patch("Service", registry, "pier", theirs)
    cluster.change(registry, metadata={"annotations": {"look": str(time.monotonic())}})
    time.sleep(1.5)
    found = cluster.get("Service", registry, "pier")
    assert found
    assert api.annotations_of(found)["argocd.example.org/tracking"] == "x"
    assert api.labels_of(found)["theirs"] == "yes"


def test_passwords_do_not_change_by_themselves(cluster: Cluster, registry: str) -> None:
    before = {name: cluster.secret(registry, name) for _, name in KEPT}
    cluster.change(registry, spec={"registry": {"workers": 3}})
    eventually(lambda: _workers(cluster, registry) == "3")
    assert {name: cluster.secret(registry, name) for _, name in KEPT} == before


def _workers(cluster: Cluster, registry: str) -> str:
    deployment = cluster.get("Deployment", registry)
    assert deployment
    environment = deployment["spec"]["template"]["spec"]["containers"][0]["env"]
    return str(next(each["value"] for each in environment if each["name"] == "PIER_WORKERS"))


def test_a_field_that_is_no_longer_wanted_goes(cluster: Cluster, registry: str) -> None:
    cluster.change(
        registry, spec={"networkPolicy": {"enabled": False}, "expose": {"service": {"annotations": {"a": "b"}}}}
    )
    eventually(lambda: cluster.get("NetworkPolicy", registry) is None)
    eventually(lambda: _annotation(cluster, registry) == "b")
    cluster.change(registry, spec={"networkPolicy": {"enabled": True}, "expose": {"service": {"annotations": None}}})
    eventually(lambda: cluster.get("NetworkPolicy", registry) is not None)
    eventually(lambda: _annotation(cluster, registry) is None)


def _annotation(cluster: Cluster, registry: str) -> str | None:
    found = cluster.get("Service", registry, "pier")
    assert found
    return api.annotations_of(found).get("a")


def test_an_object_that_another_writes_by_turns_is_left_to_it(cluster: Cluster, registry: str) -> None:
    theirs = {"spec": {"ports": [{"name": "https", "port": 443, "targetPort": 8443, "protocol": "TCP"}]}}

    def contested() -> bool:
        cluster.patch("Service", registry, "pier", theirs)
        time.sleep(0.1)
        return bool(cluster.condition(registry, "Contested"))

    eventually(contested, 40)
    told = cluster.condition(registry, "Contested")
    assert told["reason"] == "ContestedField"
    assert "Service pier is changed again and again by " in told["message"]
    found = cluster.get("Service", registry, "pier")
    assert found
    assert found["spec"]["ports"][0]["targetPort"] == 8443


def test_a_name_that_is_taken_is_told_and_left_alone(cluster: Cluster, operator: Operator, namespace: str) -> None:
    theirs = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "pier-ca", "namespace": namespace}}
    cluster.kube.create({**theirs, "data": {"mine": "yes"}})
    cluster.create(namespace)
    told = cluster.wait_for(namespace, "Ready", "NameConflict")
    assert "ConfigMap pier-ca" in told["message"]
    eventually(lambda: operator.told_ready(namespace) == "0.0")
    assert cluster.condition(namespace, "Stalled")["status"] == "True"
    found = cluster.get("ConfigMap", namespace, "pier-ca")
    assert found
    assert found["data"] == {"mine": "yes"}
    cluster.delete("ConfigMap", namespace, "pier-ca")
    cluster.change(namespace, metadata={"annotations": {"look": "again"}})
    cluster.wait_for(namespace, "RegistryAvailable", "Available", within=30)


def test_a_spec_that_is_refused_tears_nothing_down(cluster: Cluster, registry: str) -> None:
    before = set(cluster.children(registry))
    cluster.change(registry, spec={"registry": {"podTemplate": {"labels": {"no label": "!"}}}})
    told = cluster.wait_for(registry, "SpecValid", "Refused")
    assert "Deployment pier was refused" in told["message"]
    assert set(cluster.children(registry)) == before
    assert cluster.condition(registry, "RegistryAvailable")["status"] == "True"
    cluster.change(registry, spec={"registry": {"podTemplate": {"labels": None}}})
    cluster.wait_for(registry, "SpecValid", "Accepted")
