"""Who reaches what: the NetworkPolicies of a registry, enforced by kube-router on the node.

A door that is closed is tried by a pod that gets through another one. Policies are in force once the registry is up: an
engine lets a new pod through only some moments after its start.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest

from tests.cluster import cluster as clusters
from tests.cluster import images, policies
from tests.cluster.cluster import SYSTEM, Cluster
from tests.cluster.registry import Registry
from tests.operator.cluster import Api, eventually

_HTTPS: Final = 5443
_PLAIN: Final = 5080
_PRIVATE: Final = 9090
_DATABASE: Final = 3306
_ADMITTED: Final = {"example.org/front": "door"}
_WATCHING: Final = {"example.org/watches": "metrics"}
_RESTRICTED: Final = {
    "allowPrivilegeEscalation": False,
    "runAsNonRoot": True,
    "runAsUser": 65534,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


@dataclass(frozen=True, slots=True)
class Visitor:
    """A pod that knocks at doors."""

    cluster: Cluster
    namespace: str
    name: str

    def reaches(self, address: str, port: int) -> bool:
        knock = ("/bin/busybox", "nc", "-w", "2", address, str(port), "-e", "/bin/busybox", "true")
        told = self.cluster.kubectl(
            "exec", self.name, "-n", self.namespace, "--", "/bin/busybox", "sh", "-c", f"{' '.join(knock)}; echo =$?"
        )
        return told.strip().endswith("=0")


@pytest.fixture(scope="module")
def registry(cluster: Cluster, api: Api, installed: str) -> Iterator[Registry]:
    """Behind an Ingress whose pods are in namespaces with a label."""
    made = Registry(cluster, api, cluster.namespace("walled"))
    made.create(
        host=clusters.HOSTS[8],
        expose={"type": "Ingress", "ingress": {"className": "traefik"}},
        networkPolicy={"ingressFrom": [{"namespaceLabels": _ADMITTED}]},
        storage={"persistentVolume": {"size": "1Gi"}},
    )
    made.wait()
    with policies.enforced(cluster):
        yield made
    cluster.kubectl("delete", "namespace", made.namespace, "--wait=false")


@pytest.fixture
def visitor(cluster: Cluster) -> Iterator[Callable[..., Visitor]]:
    """Makes a pod in a namespace, a new one unless told, with labels on either."""
    made: list[tuple[str, str]] = []

    def make(namespace: str = "", *, space: dict[str, str] | None = None, **labels: str) -> Visitor:
        place = namespace or cluster.namespace("visitor")
        made.append(("", place) if namespace else ("namespace", place))
        if space:
            cluster.kubectl("label", "namespace", place, *(f"{key}={value}" for key, value in space.items()))
        told = cluster.kubectl("create", "-n", place, "-f", "-", "-o", "name", stdin=json.dumps(_pod(labels)))
        name = told.strip().partition("/")[2]
        cluster.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "-n", place, "--timeout=50s")
        pods.append((name, place))
        return Visitor(cluster, place, name)

    pods: list[tuple[str, str]] = []
    yield make
    for name, place in pods:
        cluster.kubectl("delete", "pod", name, "-n", place, "--grace-period=0", "--force")
    for kind, place in made:
        if kind:
            cluster.kubectl("delete", kind, place, "--wait=false")


def _pod(labels: dict[str, str]) -> dict[str, Any]:
    container = {
        "name": "visitor",
        "image": images.BUSYBOX,
        "command": ["/bin/busybox", "sleep", "600"],
        "securityContext": _RESTRICTED,
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": "visitor-", "labels": labels},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 0},
    }


def _address(registry: Registry, part: str) -> str:
    (pod,) = registry.pods(part)
    return str(pod["status"]["podIP"])


def _gets_in(visitor: Visitor, address: str, port: int) -> None:
    eventually(lambda: visitor.reaches(address, port), 20, lambda: f"{visitor} does not reach {address}:{port}")


def test_everybody_reaches_the_front_door_and_only_the_ingress_the_plain_one(
    registry: Registry, visitor: Callable[..., Visitor]
) -> None:
    server = _address(registry, "registry")
    stranger, ingress = visitor(), visitor(space=_ADMITTED)
    _gets_in(stranger, server, _HTTPS)
    _gets_in(ingress, server, _PLAIN)
    assert not stranger.reaches(server, _PLAIN)


def test_clients_are_those_of_the_networks_that_are_named(registry: Registry, visitor: Callable[..., Visitor]) -> None:
    """The operator gets in all the same, or Ready would be false."""
    server = _address(registry, "registry")
    stranger = visitor()
    _gets_in(stranger, server, _HTTPS)
    registry.change(networkPolicy={"allowFrom": ["192.0.2.0/24"]})
    eventually(lambda: not stranger.reaches(server, _HTTPS), 20)
    registry.wait()
    registry.change(networkPolicy={"allowFrom": None})
    _gets_in(stranger, server, _HTTPS)


def test_metrics_are_for_the_operator_and_for_whom_is_named(
    registry: Registry, visitor: Callable[..., Visitor]
) -> None:
    server = _address(registry, "registry")
    operator = visitor(SYSTEM, **{"app.kubernetes.io/name": "pier-operator"})
    stranger, monitoring = visitor(), visitor(space=_WATCHING)
    _gets_in(operator, server, _PRIVATE)
    for each in (stranger, monitoring):
        _gets_in(each, server, _HTTPS)
        assert not each.reaches(server, _PRIVATE)
    registry.change(networkPolicy={"monitoringFrom": [{"namespaceLabels": _WATCHING}]})
    _gets_in(monitoring, server, _PRIVATE)
    assert not stranger.reaches(server, _PRIVATE)


def test_only_the_registry_reaches_its_database(registry: Registry, visitor: Callable[..., Visitor]) -> None:
    """Pods of migrations do, too; a neighbour of the same namespace does not."""
    server, database = _address(registry, "registry"), _address(registry, "database")
    (pod,) = registry.pods("registry")
    own = {key: pod["metadata"]["labels"][key] for key in ("app.kubernetes.io/name", "app.kubernetes.io/instance")}
    migration = visitor(registry.namespace, **own, **{"app.kubernetes.io/component": "migration"})
    neighbour, stranger = visitor(registry.namespace), visitor()
    _gets_in(migration, database, _DATABASE)
    for each in (neighbour, stranger):
        _gets_in(each, server, _HTTPS)
        assert not each.reaches(database, _DATABASE)


def test_without_policies_every_door_is_open(registry: Registry, visitor: Callable[..., Visitor]) -> None:
    """So it is the policies that close them."""
    stranger = visitor()
    registry.change(networkPolicy={"enabled": False})
    for part, port in (("registry", _PLAIN), ("registry", _PRIVATE), ("database", _DATABASE)):
        _gets_in(stranger, _address(registry, part), port)
