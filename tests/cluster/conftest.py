"""One cluster for all tests, with the operator as its chart installs it and a registry behind the Ingress.

`PIER_CLUSTER` names one that is there: the folder of `make cluster-up`, or the kubeconfig of any other cluster. On the
latter only tests run that are marked `any_cluster`; all others look into a machine of this host, or go through its
Traefik, and pytest counts them as deselected.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from pier_operator.kube import Kube
from tests.cluster import cluster as clusters
from tests.cluster.cluster import ENFORCED, SYSTEM, Cluster
from tests.cluster.registry import Registry
from tests.operator.cluster import Api

_HERE: Final = Path(__file__).parent


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "any_cluster: wants nothing of the cluster but what every Kubernetes has")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    place = _named()
    if not place or not place.is_file():
        return
    own = [item for item in items if _HERE in item.path.parents and not item.get_closest_marker("any_cluster")]
    config.hook.pytest_deselected(items=own)
    items[:] = [item for item in items if item not in own]


def _named() -> Path | None:
    given = os.environ.get("PIER_CLUSTER")
    return Path(given).absolute() if given else None


@pytest.fixture(scope="package")
def cluster() -> Iterator[Cluster]:
    """The one that `PIER_CLUSTER` names; else a new one."""
    place = _named()
    if place and place.is_file():
        with clusters.given(place) as existing:
            yield existing
        return
    if place:
        found = clusters.found(place)
        assert found, f"there is no cluster in {place}: run make cluster-up"
        yield found
        return
    with clusters.running() as made:
        yield made


@pytest.fixture(scope="package")
def api(cluster: Cluster) -> Api:
    return Api(cluster.plane, Kube.connected(cluster.kubeconfig))


@pytest.fixture(scope="package")
def installed(cluster: Cluster) -> str:
    """The name of the release. Its namespace admits restricted pods alone."""
    cluster.kubectl("create", "namespace", SYSTEM, check=False)
    cluster.kubectl("label", "namespace", SYSTEM, f"{ENFORCED}=restricted", "--overwrite")
    cluster.install("pier")
    return "pier"


@pytest.fixture(scope="package")
def registry(cluster: Cluster, api: Api, installed: str) -> Iterator[Registry]:
    """Behind the Ingress, for all tests that leave it as it is."""
    made = Registry(cluster, api, cluster.namespace("team"))
    made.create(**behind_ingress(clusters.HOSTS[0]))
    made.wait()
    made.wait("HostReachable")
    yield made
    cluster.kubectl("delete", "namespace", made.namespace, "--wait=false", "--ignore-not-found")


@pytest.fixture
def another(cluster: Cluster, api: Api, installed: str) -> Iterator[Callable[[], Registry]]:
    """Makes a namespace with room for a registry; it is deleted at the end."""
    made: list[str] = []

    def make() -> Registry:
        made.append(cluster.namespace("test"))
        return Registry(cluster, api, made[-1])

    yield make
    for name in made:
        cluster.kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")


def behind_ingress(host: str) -> dict[str, object]:
    """A spec."""
    admitted = [{"namespaceLabels": {"kubernetes.io/metadata.name": "traefik"}}]
    return {
        "host": host,
        "expose": {"type": "Ingress", "ingress": {"className": "traefik"}, "trustedProxies": ["10.244.0.0/16"]},
        "networkPolicy": {"ingressFrom": admitted},
        "storage": {"persistentVolume": {"size": "2Gi"}},
    }
