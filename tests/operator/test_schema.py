"""What the API takes, refuses, and says when it refuses."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from pier_operator import api
from pier_operator.api import Manifest
from pier_operator.kube import Refused
from tests.operator.cluster import Cluster
from tests.operator.planning import CRD

_EXTERNAL = {"host": "db.example.org", "credentialsSecretName": "login", "caSecretName": "ca"}
_SHARED = {"persistentVolume": {"accessMode": "ReadWriteMany"}}

VALID: list[Manifest] = [
    {},
    {"host": "registry.example.org", "extraHosts": ["192.0.2.1"]},
    {"registry": {"replicas": 3}, "storage": _SHARED},
    {"tls": {"source": "Secret", "secretName": "mine"}},
    {"tls": {"source": "CertManager", "issuerRef": {"name": "a"}}},
    {"tls": {"caPropagation": "10s", "leafLifetime": "1h30m"}},
    {"database": {"type": "External", "external": _EXTERNAL}},
    {"database": {"type": "External", "external": {**_EXTERNAL, "tlsMode": "Disabled", "caSecretName": "x"}}},
    {"database": {"managed": {"image": "mysql:9"}}},
    {"expose": {"type": "LoadBalancer", "service": {"loadBalancerClass": "a", "externalTrafficPolicy": "Local"}}},
    {"expose": {"type": "NodePort", "service": {"nodePort": 30000}}},
    {"auth": {"users": [{"name": "a.b-c_D9", "repositories": ["team/*", "*"]}]}, "pullSecret": {"user": "a.b-c_D9"}},
    {"registry": {"resources": {"requests": {"cpu": 1, "memory": "1.5Gi"}}}},
    {"networkPolicy": {"allowFrom": ["10.0.0.0/8", "2001:db8::/32"]}},
]

VALID += [
    {"host": "a.b", "expose": {"type": "Ingress"}, "networkPolicy": {"enabled": False}},
    {
        "host": "a.b",
        "expose": {"type": "Gateway", "gateway": {"parentRefs": [{"name": "front"}]}, "trustedProxies": ["10.0.0.0/8"]},
        "networkPolicy": {"ingressFrom": [{"namespaceLabels": {"a": "b"}, "podLabels": {"c": "d"}}]},
    },
]

INVALID: list[tuple[Manifest, str]] = [
    ({"host": "Registry.example.org"}, "must be a DNS name in lower case or an IPv4 address, without a port"),
    ({"host": "registry.example.org:5443"}, "must be a DNS name in lower case or an IPv4 address, without a port"),
    ({"host": "under_score"}, "must be a DNS name in lower case or an IPv4 address, without a port"),
    ({"extraHosts": ["a b"]}, "must be a DNS name in lower case or an IPv4 address, without a port"),
    ({"extraHosts": ["a", "a"]}, "Duplicate value"),
    ({"mode": "Off"}, "Unsupported value"),
    ({"registry": {"replicas": 2}}, "more than one replica needs storage.persistentVolume.accessMode ReadWriteMany"),
    ({"registry": {"replicas": 0}}, "should be greater than or equal to 1"),
    ({"registry": {"replicas": -1}}, "should be greater than or equal to 1"),
    ({"registry": {"untaggedGrace": "soon"}}, "must be a time such as 10m or 7d"),
    ({"registry": {"maxLayer": "5Gb"}}, "must be a size such as 512Mi or 50Gi"),
    ({"registry": {"resources": {"limits": {"memory": "lots"}}}}, "should match"),
    ({"pullSecret": {"user": "nobody"}}, "pullSecret.user must be the name of one of auth.users"),
    ({"auth": {"users": [{"name": "admin"}]}}, "the names admin, anonymous, pier-nodes, pier-pull and pier-probe"),
    ({"auth": {"users": [{"name": "a:b"}]}}, "a user name has letters, digits"),
    ({"auth": {"users": [{"name": "ä"}]}}, "a user name has letters, digits"),
    ({"auth": {"users": [{"name": "x" * 65}]}}, "may not be more than 64"),
    ({"auth": {"users": [{"name": "a"}, {"name": "a"}]}}, "Duplicate value"),
    ({"auth": {"users": [{"name": "a", "repositories": []}]}}, "should have at least 1 items"),
    ({"auth": {"users": [{"name": "a", "repositories": ["Team"]}]}}, "should match"),
    ({"auth": {"users": [{"name": "a", "role": "Root"}]}}, "Unsupported value"),
    ({"tls": {"source": "Secret"}}, "tls.secretName goes with tls.source Secret, and only with it"),
    ({"tls": {"secretName": "mine"}}, "tls.secretName goes with tls.source Secret, and only with it"),
    ({"tls": {"source": "CertManager"}}, "tls.issuerRef goes with tls.source CertManager, and only with it"),
    ({"tls": {"leafLifetime": "soon"}}, "must be a time such as 2160h or 10m30s"),
    ({"tls": {"caPropagation": "9s"}}, "must be at least 10s"),
    ({"tls": {"renewAtPercent": 95}}, "should be less than or equal to 90"),
    ({"database": {"type": "External"}}, "database.external goes with database.type External, and only with it"),
    ({"database": {"external": _EXTERNAL}}, "database.external goes with database.type External, and only with it"),
    ({"database": {"type": "External", "external": {"host": "db", "credentialsSecretName": "a"}}},
     "tlsMode VerifyCA and VerifyIdentity need caSecretName"),
    ({"database": {"type": "External", "external": _EXTERNAL, "managed": {}}},
     "database.managed goes with database.type Managed"),
    ({"database": {"type": "External", "external": {**_EXTERNAL, "name": "a b"}}}, "a database name has letters"),
    ({"database": {"type": "External", "external": {**_EXTERNAL, "port": 0}}}, "greater than or equal to 1"),
    ({"storage": {"persistentVolume": {"size": "5Gb"}}}, "must be a size such as 20Gi"),
    ({"storage": {"persistentVolume": {"size": "0"}}}, "must be a size such as 20Gi"),
    ({"expose": {"service": {"nodePort": 30000}}}, "nodePort needs expose.type NodePort or LoadBalancer"),
    ({"expose": {"type": "NodePort", "service": {"nodePort": 80}}}, "greater than or equal to 30000"),
    ({"expose": {"type": "NodePort", "service": {"loadBalancerClass": "a"}}}, "need expose.type LoadBalancer"),
    ({"expose": {"service": {"externalTrafficPolicy": "Local"}}}, "externalTrafficPolicy needs expose.type NodePort"),
    ({"expose": {"type": "Ingress"}, "networkPolicy": {"enabled": False}}, "Ingress and Gateway need a host"),
    ({"host": "a.b", "expose": {"type": "Ingress"}}, "Ingress and Gateway need networkPolicy.ingressFrom"),
    ({"expose": {"ingress": {"className": "a"}}}, "expose.ingress goes with expose.type Ingress"),
    ({"expose": {"type": "Gateway"}}, "expose.gateway goes with expose.type Gateway, and only with it"),
    ({"expose": {"gateway": {"parentRefs": [{"name": "a"}]}}}, "expose.gateway goes with expose.type Gateway"),
    ({"expose": {"trustedProxies": ["10.0.0.1"]}}, "must be a network such as 10.0.0.0/8"),
    ({"networkPolicy": {"ingressFrom": [{"podLabels": {"a": "b"}}]}}, "namespaceLabels: Required"),
    ({"networkPolicy": {"allowFrom": ["10.0.0.1"]}}, "must be a network such as 10.0.0.0/8"),
]  # fmt: skip

_OLD_SIZE = {"storage": {"persistentVolume": {"size": "20Gi", "storageClassName": "a"}}}
CHANGES: list[tuple[Manifest, Manifest, str]] = [
    (_OLD_SIZE, {"storage": {"persistentVolume": {"size": "30Gi"}}}, ""),
    (_OLD_SIZE, {"storage": {"persistentVolume": {"size": "20480Mi"}}}, ""),
    (_OLD_SIZE, {"storage": {"persistentVolume": {"size": "10Gi"}}}, "size may not shrink, since a volume cannot"),
    (_OLD_SIZE, {"storage": {"persistentVolume": {"size": "?"}}}, "must be a size such as 20Gi"),
    (_OLD_SIZE, {"storage": {"persistentVolume": {"storageClassName": "b"}}}, "storageClassName cannot change"),
    (_OLD_SIZE, {"storage": {"persistentVolume": {"storageClassName": None}}}, "storageClassName cannot change"),
    ({}, {"storage": {"persistentVolume": {"storageClassName": "b"}}}, "storageClassName cannot change"),
    ({}, {"storage": _SHARED}, "accessMode cannot change"),
    ({}, {"storage": {"persistentVolume": {"existingClaim": "mine"}}}, "existingClaim cannot change"),
    ({}, {"database": {"type": "External", "external": _EXTERNAL}}, "database.type cannot change"),
    ({"database": {"managed": {"storage": {"size": "6Gi"}}}}, {"database": {"managed": {"storage": {"size": "5Gi"}}}},
     "size may not shrink, since a volume cannot"),
    ({}, {"tls": {"source": "Secret", "secretName": "mine"}}, ""),
    ({}, {"host": "other.example.org"}, ""),
    ({}, {"mode": "Hibernated"}, ""),
]  # fmt: skip


def _create(cluster: Cluster, namespace: str, spec: Any, name: str = "pier", dry: bool = True) -> Manifest:
    body = {
        "apiVersion": api.PIER_REGISTRY.api_version,
        "kind": api.PIER_REGISTRY.name,
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }
    target = f"/apis/{api.PIER_REGISTRY.api_version}/namespaces/{namespace}/pierregistries"
    query = {"fieldValidation": "Strict"} | ({"dryRun": "All"} if dry else {})
    return cluster.kube.request("POST", target, query, body)


@pytest.fixture(scope="module")
def somewhere(cluster: Cluster) -> str:
    """A namespace where nothing stays."""
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "somewhere"}}
    cluster.kube.request("POST", "/api/v1/namespaces", body=body)
    return "somewhere"


@pytest.mark.parametrize("spec", VALID, ids=str)
def test_a_good_spec_is_taken(cluster: Cluster, somewhere: str, spec: Manifest) -> None:
    assert _create(cluster, somewhere, spec)["spec"]["mode"] == "Active"


@pytest.mark.parametrize(("spec", "text"), INVALID, ids=[str(spec) for spec, _ in INVALID])
def test_a_bad_spec_is_refused_with_a_reason(cluster: Cluster, somewhere: str, spec: Manifest, text: str) -> None:
    with pytest.raises(Refused) as refused:
        _create(cluster, somewhere, spec)
    assert refused.value.status == 422
    assert text in refused.value.message


@pytest.mark.parametrize(("old", "new", "text"), CHANGES, ids=[f"{old} to {new}" for old, new, _ in CHANGES])
def test_a_change_is_taken_or_refused(
    cluster: Cluster, somewhere: str, old: Manifest, new: Manifest, text: str
) -> None:
    """In a paused registry, so that the operator of other tests makes nothing of it."""
    _create(cluster, somewhere, {**old, "paused": True}, dry=False)
    try:
        if text:
            with pytest.raises(Refused) as refused:
                cluster.change(somewhere, spec=new)
            assert text in refused.value.message
        else:
            cluster.change(somewhere, spec=new)
    finally:
        cluster.delete("PierRegistry", somewhere, "pier")


@pytest.mark.parametrize("name", ["a" * 41, "a.b", "9a", "a-"])
def test_a_name_that_children_cannot_have_is_refused(cluster: Cluster, somewhere: str, name: str) -> None:
    with pytest.raises(Refused) as refused:
        _create(cluster, somewhere, {}, name)
    assert (
        "the name must have at most 40 lower-case letters" in refused.value.message
        or "RFC 1123" in refused.value.message
    )


@pytest.mark.parametrize("spec", [None, []])
def test_a_spec_that_is_none_is_refused(cluster: Cluster, somewhere: str, spec: Any) -> None:
    with pytest.raises(Refused):
        _create(cluster, somewhere, spec)


def test_a_field_that_is_none_is_refused(cluster: Cluster, somewhere: str) -> None:
    with pytest.raises(Refused) as refused:
        _create(cluster, somewhere, {"hots": "a"})
    assert 'unknown field "spec.hots"' in refused.value.message


def test_the_example_is_taken(cluster: Cluster, somewhere: str) -> None:
    example = yaml.safe_load((CRD.parents[1] / "examples" / "pierregistry.yaml").read_text(encoding="utf-8"))
    assert _create(cluster, somewhere, example["spec"])["spec"]["host"] == "registry.example.org"


def test_the_api_is_small_enough_for_a_plain_apply() -> None:
    assert CRD.stat().st_size < 100_000


def test_kubectl_explains_every_field(cluster: Cluster) -> None:
    told = cluster.plane.kubectl("explain", "pierregistry.spec", "--recursive")
    assert "untaggedGrace" in told
    assert "Beside admin" in cluster.plane.kubectl("explain", "pierregistry.spec.auth.users")


def test_kubectl_scales(cluster: Cluster, somewhere: str) -> None:
    _create(cluster, somewhere, {"storage": _SHARED, "paused": True}, name="wide", dry=False)
    cluster.plane.kubectl("scale", "pier/wide", "-n", somewhere, "--replicas=3")
    found = cluster.get("PierRegistry", somewhere, "wide")
    assert found
    assert found["spec"]["registry"]["replicas"] == 3
    assert "must" in cluster.plane.kubectl("scale", "pier/wide", "-n", somewhere, "--replicas=-1", check=False)
