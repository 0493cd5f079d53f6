"""One cluster for all tests, with the operator as its chart installs it and a registry behind the Ingress."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pier_operator.kube import Kube
from tests.cluster import cluster as clusters
from tests.cluster.cluster import ENFORCED, SYSTEM, Cluster
from tests.cluster.registry import Registry
from tests.operator.cluster import Api


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The one that `PIER_CLUSTER`, the folder of `make cluster-up`, has; else a new one."""
    given = os.environ.get("PIER_CLUSTER")
    if given:
        found = clusters.found(Path(given).absolute())
        assert found, f"there is no cluster in {given}: run make cluster-up"
        yield found
        return
    with clusters.running() as made:
        yield made


@pytest.fixture(scope="session")
def api(cluster: Cluster) -> Api:
    return Api(cluster.plane, Kube.connected(cluster.kubeconfig))


@pytest.fixture(scope="session")
def installed(cluster: Cluster) -> str:
    """The name of the release. Its namespace admits restricted pods alone."""
    cluster.kubectl("create", "namespace", SYSTEM, check=False)
    cluster.kubectl("label", "namespace", SYSTEM, f"{ENFORCED}=restricted", "--overwrite")
    cluster.install("pier")
    return "pier"


@pytest.fixture(scope="session")
def registry(cluster: Cluster, api: Api, installed: str) -> Iterator[Registry]:
    """Behind the Ingress, for all tests that leave it as it is."""
    made = Registry(cluster, api, cluster.namespace("team"))
    made.create(**behind_ingress(clusters.HOSTS[0]))
    made.wait()
    yield made
    cluster.kubectl("delete", "namespace", made.namespace, "--wait=false")


@pytest.fixture
def another(cluster: Cluster, api: Api, installed: str) -> Iterator[Callable[[], Registry]]:
    """Makes a namespace with room for a registry; it is deleted at the end."""
    made: list[str] = []

    def make() -> Registry:
        made.append(cluster.namespace("test"))
        return Registry(cluster, api, made[-1])

    yield make
    for name in made:
        cluster.kubectl("delete", "namespace", name, "--wait=false")


def behind_ingress(host: str) -> dict[str, object]:
    """A spec."""
    admitted = [{"namespaceLabels": {"kubernetes.io/metadata.name": "traefik"}}]
    return {
        "host": host,
        "expose": {"type": "Ingress", "ingress": {"className": "traefik"}, "trustedProxies": ["10.244.0.0/16"]},
        "networkPolicy": {"ingressFrom": admitted},
        "storage": {"persistentVolume": {"size": "2Gi"}},
    }
