"""Asleep, read-only, grown: what the mode and the size of a registry do to one that runs."""

from __future__ import annotations

import httpx

from pier_operator import api
from pier_operator.plan.child import Condition
from tests.operator import golden
from tests.operator.cluster import Cluster, Operator, eventually
from tests.operator.planning import manifests, named, planned, settled


def test_a_hibernated_registry_sleeps_and_wakes_with_its_data(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    cluster.create(namespace)
    cluster.wait_for(namespace, "RegistryAvailable", "Available", within=30)
    assert operator.told_ready(namespace) == "0.0"  # nobody serves here, so no push works
    claims = _claims(cluster, namespace)
    cluster.change(namespace, spec={"mode": "Hibernated"})
    eventually(lambda: _replicas(cluster, namespace) == (0, 0), 30)
    told = cluster.wait_for(namespace, "Ready", "Hibernated")
    assert told["status"] == "False"
    assert cluster.condition(namespace, "Stalled")["status"] == "False"
    assert cluster.condition(namespace, "Reconciling")["status"] == "False"
    eventually(lambda: operator.told_ready(namespace) == "")  # or the alarm would ring in the night
    cluster.change(namespace, spec={"mode": "Active"})
    cluster.wait_for(namespace, "RegistryAvailable", "Available", within=30)
    assert _replicas(cluster, namespace) == (1, 1)
    assert _claims(cluster, namespace) == claims
    eventually(lambda: operator.told_ready(namespace) == "0.0")


def _claims(cluster: Cluster, namespace: str) -> set[str]:
    names = ("pier-data", "pier-mysql")
    found = [cluster.get("PersistentVolumeClaim", namespace, name) for name in names]
    return {each["metadata"]["uid"] for each in found if each}


def _replicas(cluster: Cluster, namespace: str) -> tuple[int, int]:
    found = [cluster.get("Deployment", namespace, "pier"), cluster.get("StatefulSet", namespace, "pier-mysql")]
    first, second = (each["spec"]["replicas"] if each else -1 for each in found)
    return first, second


def test_mysql_stops_after_the_last_registry_pod() -> None:
    running = settled({})
    going = planned({"mode": "Hibernated"}, children=running)
    assert named(manifests(going), "Deployment", "pier")["spec"]["replicas"] == 0
    assert named(manifests(going), "StatefulSet", "pier-mysql")["spec"]["replicas"] == 1
    asleep = settled({"mode": "Hibernated"})
    assert named(asleep, "StatefulSet", "pier-mysql")["spec"]["replicas"] == 0


def test_a_registry_wakes_after_mysql() -> None:
    asleep = settled({"mode": "Hibernated"})
    waking = planned({}, children=asleep)
    deployment = next(child for child in waking.children if child.key == ("Deployment", "pier"))
    assert not deployment.gate
    assert named(manifests(waking), "StatefulSet", "pier-mysql")["spec"]["replicas"] == 1


def test_a_registry_becomes_read_only_without_a_restart(cluster: Cluster, operator: Operator, namespace: str) -> None:
    cluster.node.served.add(namespace)
    cluster.create(namespace)
    cluster.wait_for(namespace, "Ready", "Ready", within=60)
    pods = {api.name_of(each) for each in cluster.kube.every(api.POD, namespace)}
    cluster.change(namespace, spec={"mode": "ReadOnly"})
    cluster.wait_for(namespace, "EndpointReachable", "ReadOnly", within=20)
    cluster.wait_for(namespace, "Ready", "Ready")
    assert {api.name_of(each) for each in cluster.kube.every(api.POD, namespace)} == pods
    password = cluster.secret(namespace, "pier-admin")["password"]
    with cluster.client(namespace, "admin", password) as client:
        assert client.get("/v2/").status_code == 200
        assert client.post("/v2/library/app/blobs/uploads/").status_code == 405
    found = eventually(lambda: _storage(cluster, namespace).get("capacity"))
    assert found == "20Gi"
    assert _storage(cluster, namespace)["usedBytes"] == 0


def test_behind_an_ingress_the_pods_speak_plain_http(cluster: Cluster, operator: Operator, namespace: str) -> None:
    cluster.node.served.add(namespace)
    spec = {
        "host": "registry.example.org",
        "expose": {"type": "Ingress", "ingress": {"className": "traefik"}},
        "networkPolicy": {"ingressFrom": [{"namespaceLabels": {"kubernetes.io/metadata.name": "traefik"}}]},
    }
    cluster.create(namespace, spec=spec)
    cluster.wait_for(namespace, "Ready", "Ready", within=60)
    ingress, service = cluster.get("Ingress", namespace), cluster.get("Service", namespace, "pier")
    assert ingress
    assert service
    assert ingress["spec"]["tls"] == [{"hosts": ["registry.example.org"], "secretName": "pier-tls"}]
    password = cluster.secret(namespace, "pier-admin")["password"]
    url = f"http://{service['spec']['clusterIP']}:5080/v2/"
    assert httpx.get(url, auth=("admin", password), headers={"Host": "registry.example.org"}).status_code == 200
    assert cluster.condition(namespace, "HostReachable")["status"] == "False"
    cluster.change(namespace, spec={"expose": {"type": "ClusterIP", "ingress": None}})
    eventually(lambda: cluster.get("Ingress", namespace) is None)
    eventually(lambda: cluster.get("Service", namespace, "pier-plain") is None)


def test_a_gateway_that_refuses_is_told() -> None:
    spec = golden.CASES["gateway"]
    found = settled(spec)
    assert planned(spec, children=found).condition("Exposed") == Condition(
        "Exposed",
        True,
        "Gateway",
        "HTTPRoute pier leads to the registry; the Gateway ends TLS with a certificate of its own",
    )
    refused = {"type": "Accepted", "status": "False", "message": "no listener takes this host"}
    named(found, "HTTPRoute", "pier")["status"] = {"parents": [{"conditions": [refused]}]}
    told = planned(spec, children=found).condition("Exposed")
    assert told
    assert told.message == "HTTPRoute pier is refused: no listener takes this host"
    without = planned(spec, children=found, apis=()).condition("Exposed")
    assert without
    assert without.reason == "GatewayMissing"


def _storage(cluster: Cluster, namespace: str) -> dict[str, object]:
    found = cluster.get("PierRegistry", namespace)
    assert found
    held: dict[str, object] = found["status"]["storage"]
    return held


def test_many_pods_have_a_budget_and_one_has_none() -> None:
    shared = {"persistentVolume": {"accessMode": "ReadWriteMany"}}
    many = planned({"registry": {"replicas": 2}, "storage": shared}).wanted()
    assert ("PodDisruptionBudget", "pier") in many
    assert ("PodDisruptionBudget", "pier") not in planned({"storage": shared}).wanted()


def test_a_volume_of_one_node_keeps_its_pods_together() -> None:
    def affinity(spec: dict[str, object]) -> object:
        return named(settled(spec), "Deployment", "pier")["spec"]["template"]["spec"].get("affinity")

    assert affinity({})
    assert affinity({"storage": {"persistentVolume": {"accessMode": "ReadWriteMany"}}}) is None


def test_a_load_balancer_names_the_registry() -> None:
    spec = {"expose": {"type": "LoadBalancer"}}
    found = settled(spec)
    waiting = planned(spec, children=found).condition("Exposed")
    assert waiting
    assert waiting.reason == "WaitingForLoadBalancer"
    service = named(found, "Service", "pier")
    service["status"] = {"loadBalancer": {"ingress": [{"ip": "192.0.2.9"}]}}
    plan = planned(spec, children=found)
    assert plan.facts["names"].endpoint == "192.0.2.9"
    assert "192.0.2.9" in plan.facts["names"].all
