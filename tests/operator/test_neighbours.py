"""Projects that a cluster may or may not have: cert-manager, the Gateway API and the Prometheus operator."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from pier_operator import api, x509
from pier_operator.api import Manifest
from pier_operator.kube import Kube
from pier_operator.observed import decoded, encoded
from tests.operator.in_process import FaultyKube, InProcess
from tests.operator.planning import StillChance
from tests.parts import foreign_kinds
from tests.parts.control_plane import ControlPlane

_names = (f"neighbour{number}" for number in itertools.count(1))


@pytest.fixture
def namespace(lonely: ControlPlane) -> str:
    name = next(_names)
    lonely.kubectl("create", "namespace", name)
    return name


@pytest.fixture
def neighbours(lonely: ControlPlane) -> Iterator[None]:
    """Their kinds, as published or taking any spec, for the time of a test."""
    for kind in api.OPTIONAL:
        if kind.name in foreign_kinds.KINDS:
            lonely.kubectl("apply", "--server-side", "-f", str(foreign_kinds.definition(kind.name)))
        else:
            lonely.kubectl("apply", "-f", "-", stdin=_definition(kind))
        lonely.establish(f"{kind.plural}.{kind.group}")
    yield
    for kind in api.OPTIONAL:
        lonely.kubectl("delete", "crd", f"{kind.plural}.{kind.group}")


def _definition(kind: api.Kind) -> str:
    return f"""
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: {kind.plural}.{kind.group}}}
spec:
  group: {kind.group}
  scope: Namespaced
  names: {{kind: {kind.name}, plural: {kind.plural}, singular: {kind.name.lower()}}}
  versions:
    - name: {kind.version}
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          type: object
          properties: {{spec: {{type: object, x-kubernetes-preserve-unknown-fields: true}}}}
"""


def _create(kube: Kube, namespace: str, spec: Manifest) -> InProcess:
    body = {
        "apiVersion": api.PIER_REGISTRY.api_version,
        "kind": api.PIER_REGISTRY.name,
        "metadata": {"name": "pier", "namespace": namespace},
        "spec": spec,
    }
    kube.create(body)
    return InProcess(FaultyKube(kube))


def _reason(kube: Kube, namespace: str, kind: str) -> str:
    found = kube.get(api.PIER_REGISTRY, namespace, "pier")
    assert found
    return next(str(each["reason"]) for each in found["status"]["conditions"] if each["type"] == kind)


def test_without_them_a_registry_does_without(lonely: ControlPlane, namespace: str) -> None:
    kube = Kube.connected(lonely.kubeconfig)
    operator = _create(kube, namespace, {"monitoring": {"enabled": True}})
    operator.look((namespace, "pier"))
    assert _reason(kube, namespace, "SpecValid") == "Accepted"


@pytest.mark.usefixtures("neighbours")
def test_monitoring_is_made_and_taken_away(lonely: ControlPlane, namespace: str) -> None:
    kube = Kube.connected(lonely.kubeconfig)
    operator = _create(kube, namespace, {"monitoring": {"enabled": True, "labels": {"prometheus": "main"}}})
    operator.look((namespace, "pier"))
    monitor = kube.get(api.KINDS["ServiceMonitor"], namespace, "pier")
    rule = kube.get(api.KINDS["PrometheusRule"], namespace, "pier")
    assert monitor
    assert rule
    assert api.labels_of(monitor)["prometheus"] == "main"
    assert monitor["spec"]["endpoints"] == [{"port": "private", "path": "/metrics", "interval": "30s"}]
    alerts = {each["alert"] for group in rule["spec"]["groups"] for each in group["rules"]}
    assert alerts == {"PierRegistryDown", "PierVolumeFilling", "PierUsersStale"}
    target = f"/apis/{api.PIER_REGISTRY.api_version}/namespaces/{namespace}/pierregistries/pier"
    off = {"spec": {"monitoring": {"enabled": False}}}
    kube.request("PATCH", target, body=off, form="application/merge-patch+json")
    operator.look((namespace, "pier"))
    assert kube.get(api.KINDS["ServiceMonitor"], namespace, "pier") is None
    assert kube.get(api.KINDS["PrometheusRule"], namespace, "pier") is None


@pytest.mark.usefixtures("neighbours")
def test_cert_manager_is_asked_and_its_certificate_is_used(lonely: ControlPlane, namespace: str) -> None:
    kube = Kube.connected(lonely.kubeconfig)
    tls = {"source": "CertManager", "issuerRef": {"name": "letsencrypt", "kind": "ClusterIssuer"}}
    operator = _create(kube, namespace, {"host": "registry.example.org", "tls": tls})
    operator.look((namespace, "pier"))
    assert _reason(kube, namespace, "CertificateReady") == "Waiting"
    asked = kube.get(api.KINDS["Certificate"], namespace, "pier-tls")
    assert asked
    assert asked["spec"]["issuerRef"] == {"name": "letsencrypt", "kind": "ClusterIssuer", "group": "cert-manager.io"}
    assert "registry.example.org" in asked["spec"]["dnsNames"]
    kube.create(_issued(namespace, asked["spec"]["dnsNames"]))
    operator.refresh(namespace)
    operator.look((namespace, "pier"))
    assert _reason(kube, namespace, "CertificateReady") == "Good"
    found = kube.get(api.KINDS["Secret"], namespace, "pier-tls")
    assert "BEGIN CERTIFICATE" in decoded(found)["tls.crt"]


def _issued(namespace: str, names: list[str]) -> Manifest:
    """As cert-manager would write it, with the labels that it was asked for."""

    chance, now = StillChance(3), datetime.now(UTC)
    ca = x509.authority("issuer", chance.key(), 1, now, timedelta(days=900))
    leaf = x509.leaf(ca, chance.key(), 2, names, (now, now + timedelta(days=90)))
    data = encoded({"tls.crt": leaf.text, "tls.key": leaf.key, "ca.crt": ca.text})
    meta = {"name": "pier-tls", "namespace": namespace, "labels": {api.REGISTRY: "pier"}}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "type": "kubernetes.io/tls", "data": data}


@pytest.mark.usefixtures("neighbours")
def test_a_route_of_a_gateway_is_made(lonely: ControlPlane, namespace: str) -> None:
    kube = Kube.connected(lonely.kubeconfig)
    gateway = {"parentRefs": [{"name": "front", "namespace": "gateways", "sectionName": "https"}]}
    operator = _create(
        kube,
        namespace,
        {
            "host": "registry.example.org",
            "expose": {"type": "Gateway", "gateway": gateway},
            "networkPolicy": {"enabled": False},
        },
    )
    operator.look((namespace, "pier"))
    operator.refresh(namespace)
    operator.look((namespace, "pier"))
    route = kube.get(api.KINDS["HTTPRoute"], namespace, "pier")
    assert route
    assert route["spec"]["hostnames"] == ["registry.example.org"]
    assert route["spec"]["rules"][0]["backendRefs"][0]["name"] == "pier-plain"
    writes = len(operator.kube.writes)
    operator.look((namespace, "pier"))
    assert operator.kube.writes[writes:] == []
    assert _reason(kube, namespace, "Exposed") == "Gateway"
