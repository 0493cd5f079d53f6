"""Every field of the spec does something, and undoes it when it is taken out."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from pier_operator.api import Manifest
from tests.operator.planning import manifests, planned, schema, secret

_PODS: dict[str, Any] = {
    "labels": {"team": "a"},
    "annotations": {"team": "a"},
    "nodeSelector": {"disk": "fast"},
    "priorityClassName": "high",
    "tolerations": [{"key": "a", "operator": "Exists", "value": "b", "effect": "NoSchedule", "tolerationSeconds": 5}],
    "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}],
}
_RESOURCES = {"requests": {"cpu": "1"}, "limits": {"memory": "2Gi"}}
_MANAGED = {"type": "Managed", "managed": {"storage": {"size": "5Gi"}}}
_EXTERNAL = {
    "type": "External",
    "external": {"host": "db.example.org", "credentialsSecretName": "login", "caSecretName": "authority"},
}
_USER = {"auth": {"users": [{"name": "alice"}]}}
_BALANCER = {"expose": {"type": "LoadBalancer"}}
_INGRESS = {"host": "pier.example.org", "expose": {"type": "Ingress"}}
_GATEWAY = {
    "host": "pier.example.org",
    "expose": {"type": "Gateway", "gateway": {"parentRefs": [{"name": "front"}]}},
}
_ISSUER = {"tls": {"source": "CertManager", "issuerRef": {"name": "issuer"}}}

# Path, the spec that it is set in, and a value that is not the default.
LEAVES: list[tuple[str, Manifest, Any]] = [
    ("mode", {}, "ReadOnly"),
    ("host", {}, "pier.example.org"),
    ("extraHosts", {}, ["other.example.org"]),
    ("deletionPolicy", {}, "Delete"),
    ("expose.type", {}, "LoadBalancer"),
    ("expose.service.annotations", {}, {"a": "b"}),
    ("expose.service.nodePort", _BALANCER, 30500),
    ("expose.service.loadBalancerClass", _BALANCER, "fast"),
    ("expose.service.loadBalancerSourceRanges", _BALANCER, ["10.0.0.0/8"]),
    ("expose.service.externalTrafficPolicy", _BALANCER, "Local"),
    ("expose.ingress.className", _INGRESS, "traefik"),
    ("expose.ingress.annotations", _INGRESS, {"a": "b"}),
    ("expose.gateway.parentRefs.0.name", _GATEWAY, "other"),
    ("expose.gateway.parentRefs.0.namespace", _GATEWAY, "gateways"),
    ("expose.gateway.parentRefs.0.sectionName", _GATEWAY, "https"),
    ("expose.trustedProxies", {}, ["10.0.0.0/8"]),
    ("tls.source", {}, "CertManager"),
    ("tls.secretName", {"tls": {"source": "Secret"}}, "mine"),
    ("tls.issuerRef.name", _ISSUER, "other"),
    ("tls.issuerRef.kind", _ISSUER, "ClusterIssuer"),
    ("tls.issuerRef.group", _ISSUER, "issuers.example.org"),
    ("tls.leafLifetime", {}, "240h"),
    ("tls.caLifetime", {}, "24000h"),
    ("tls.renewAtPercent", {}, 80),
    ("tls.publishCA", {}, False),
    ("auth.anonymousPull", {}, True),
    ("auth.users", {}, [{"name": "alice"}]),
    ("auth.users.0.name", _USER, "bob"),
    ("auth.users.0.passwordSecretRef.name", _USER, "login"),
    ("auth.users.0.passwordSecretRef.key", {"auth": {"users": [{"name": "a", "passwordSecretRef": {"name": "login"}}]}},
     "other"),
    ("auth.users.0.role", _USER, "Pull"),
    ("auth.users.0.repositories", _USER, ["team/*"]),
    ("registry.replicas", {"storage": {"persistentVolume": {"accessMode": "ReadWriteMany"}}}, 2),
    ("registry.workers", {}, 4),
    ("registry.v1", {}, "Off"),
    ("registry.untaggedGrace", {}, "10m"),
    ("registry.maxLayer", {}, "1Gi"),
    ("registry.resources.requests", {}, {"cpu": "1"}),
    ("registry.resources.limits", {}, {"memory": "2Gi"}),
    ("proxy.resources.requests", {}, {"cpu": "1"}),
    ("proxy.resources.limits", {}, {"memory": "2Gi"}),
    *((f"registry.podTemplate.{name}", {}, value) for name, value in _PODS.items() if isinstance(value, (dict, str))),
    ("storage.persistentVolume.size", {}, "30Gi"),
    ("storage.persistentVolume.storageClassName", {}, "fast"),
    ("storage.persistentVolume.accessMode", {}, "ReadWriteMany"),
    ("storage.persistentVolume.existingClaim", {}, "mine"),
    ("database.type", {"database": {"external": _EXTERNAL["external"]}}, "External"),
    ("database.managed.image", {"database": _MANAGED}, "mysql:9"),
    ("database.managed.storage.size", {"database": _MANAGED}, "6Gi"),
    ("database.managed.storage.storageClassName", {"database": _MANAGED}, "fast"),
    ("database.managed.resources.requests", {"database": _MANAGED}, {"cpu": "1"}),
    ("database.managed.resources.limits", {"database": _MANAGED}, {"memory": "2Gi"}),
    *(
        (f"database.managed.podTemplate.{name}", {"database": _MANAGED}, value)
        for name, value in _PODS.items()
        if isinstance(value, (dict, str))
    ),
    ("database.external.host", {"database": _EXTERNAL}, "other.example.org"),
    ("database.external.port", {"database": _EXTERNAL}, 3307),
    ("database.external.name", {"database": _EXTERNAL}, "other"),
    ("database.external.credentialsSecretName", {"database": _EXTERNAL}, "login-2"),
    ("database.external.tlsMode", {"database": _EXTERNAL}, "VerifyCA"),
    ("database.external.caSecretName", {"database": _EXTERNAL}, "authority-2"),
    ("monitoring.enabled", {}, True),
    ("monitoring.labels", {"monitoring": {"enabled": True}}, {"prometheus": "main"}),
    ("monitoring.prometheusRule", {"monitoring": {"enabled": True}}, False),
    ("networkPolicy.enabled", {}, False),
    ("networkPolicy.allowFrom", {}, ["10.0.0.0/8"]),
    ("networkPolicy.ingressFrom", _INGRESS, [{"namespaceLabels": {"name": "traefik"}}]),
    ("networkPolicy.ingressFrom.0.namespaceLabels",
     {**_INGRESS, "networkPolicy": {"ingressFrom": [{"namespaceLabels": {"name": "traefik"}}]}}, {"name": "other"}),
    ("networkPolicy.ingressFrom.0.podLabels",
     {**_INGRESS, "networkPolicy": {"ingressFrom": [{"namespaceLabels": {"name": "traefik"}}]}}, {"app": "traefik"}),
    ("networkPolicy.monitoringFrom", {}, [{"namespaceLabels": {"name": "monitoring"}}]),
    ("networkPolicy.monitoringFrom.0.namespaceLabels",
     {"networkPolicy": {"monitoringFrom": [{"namespaceLabels": {"name": "monitoring"}}]}}, {"name": "other"}),
    ("networkPolicy.monitoringFrom.0.podLabels",
     {"networkPolicy": {"monitoringFrom": [{"namespaceLabels": {"name": "monitoring"}}]}}, {"app": "prometheus"}),
    ("pullSecret.user", _USER, "alice"),
    ("nodeTrust.enabled", {}, True),
]  # fmt: skip

_LISTS = [
    (f"{pods}.{name}.0.{key}", {"database": _MANAGED}, name, key)
    for pods in ("registry.podTemplate", "database.managed.podTemplate")
    for name in ("tolerations", "topologySpreadConstraints")
    for key in _PODS[name][0]
]
# What acts on time alone, or on the operator: tests of their own show it.
_ELSEWHERE = {"paused", "tls.caPropagation"}


@pytest.mark.parametrize(("path", "around", "value"), LEAVES, ids=[leaf[0] for leaf in LEAVES])
def test_a_field_has_an_effect_and_can_be_taken_out(path: str, around: Manifest, value: Any) -> None:
    without, within = _seen(around), _seen(_with(around, path, value))
    assert within != without
    assert _seen(copy.deepcopy(around)) == without


@pytest.mark.parametrize(("path", "around", "name", "key"), _LISTS, ids=[each[0] for each in _LISTS])
def test_a_field_of_a_list_reaches_the_pod(path: str, around: Manifest, name: str, key: str) -> None:
    whole = copy.deepcopy(_PODS[name])
    if key in schema_required(name):
        return
    place = path.rsplit(".", 2)[0]
    less = [{k: v for k, v in whole[0].items() if k != key}]
    assert _seen(_with(around, place, whole)) != _seen(_with(around, place, less))


def schema_required(name: str) -> list[str]:
    pods = schema()["properties"]["registry"]["properties"]["podTemplate"]["properties"]
    return list(pods[name]["items"].get("required", []))


def test_no_field_is_forgotten() -> None:
    tested = {_plain(leaf[0]) for leaf in LEAVES} | {_plain(each[0]) for each in _LISTS} | _ELSEWHERE
    assert set(_leaves(schema(), "")) == tested - {
        "auth.users",
        "networkPolicy.ingressFrom",
        "networkPolicy.monitoringFrom",
    }


def _leaves(of: Manifest, path: str) -> list[str]:
    if of.get("type") == "object" and "properties" in of:
        return [leaf for name, each in of["properties"].items() for leaf in _leaves(each, f"{path}.{name}".strip("."))]
    if of.get("type") == "array" and of["items"].get("type") == "object":
        return _leaves(of["items"], path)
    return [path]


def _plain(path: str) -> str:
    return ".".join(part for part in path.split(".") if part != "0")


def _with(around: Manifest, path: str, value: Any) -> Manifest:
    spec = copy.deepcopy(around)
    *parents, last = path.split(".")
    place: Any = spec
    for name in parents:
        place = place[int(name)] if name.isdigit() else place.setdefault(name, {})
    place[last] = value
    if path == "tls.source":
        place["issuerRef"] = {"name": "issuer"}
    return spec


def _seen(spec: Manifest) -> tuple[Any, ...]:
    """All that a plan decides; the life of a certificate shows in what is told of it."""
    references = (
        secret("login", username="u", password="p" * 16, other="q" * 16),
        secret("login-2", username="v", password="p" * 16),
        secret("authority", ca__crt="one"),
        secret("authority-2", ca__crt="two"),
    )
    whole = planned(spec, references=references)
    return manifests(whole), whole.conditions, whole.facts.get("tls"), whole.requeue
