"""What happens to a registry in its life, while clients push and pull: what they notice, and that nothing is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx
import pytest

from pier_operator.kube import KubeError
from tests.cluster import cluster as clusters
from tests.cluster import events, traffic
from tests.cluster.cluster import Cluster
from tests.cluster.conftest import behind_ingress
from tests.cluster.registry import Registry
from tests.cluster.traffic import Traffic
from tests.operator.cluster import Api, eventually

_KEPT = b"what must never be lost"
_NAME = "kept/app"


@pytest.fixture(scope="module")
def registry(cluster: Cluster, api: Api, installed: str) -> Iterator[Registry]:
    """Behind the Ingress, with something in it."""
    made = Registry(cluster, api, cluster.namespace("life"))
    made.create(**behind_ingress(clusters.HOSTS[2]))
    made.wait()
    with made.client() as client:
        made.answers(client)
        _pushed(client, _NAME, _KEPT)
    yield made
    cluster.kubectl("delete", "namespace", made.namespace, "--wait=false")


@pytest.fixture(autouse=True)
def nothing_is_lost(registry: Registry) -> Iterator[None]:
    """After each event too."""
    yield
    registry.wait()
    with registry.client() as client:
        registry.answers(client)
        assert client.get(f"/v2/{_NAME}/manifests/1", headers=traffic.ACCEPT).content == traffic.manifest(_KEPT)
        assert client.get(f"/v2/{_NAME}/blobs/{traffic.digest(_KEPT)}").content == _KEPT


@pytest.mark.alone
def test_an_upgrade_of_operator_and_registry_fails_no_request(registry: Registry) -> None:
    seen = events.upgrade(registry)
    assert not seen.failures, seen.told()


@pytest.mark.alone
def test_a_renewed_certificate_and_a_new_ca_fail_no_request(registry: Registry) -> None:
    seen = events.renewal(registry)
    assert not seen.failures, seen.told()


@pytest.mark.alone
def test_users_come_and_go_and_fail_no_request_of_others(registry: Registry) -> None:
    seen = events.change_of_users(registry)
    assert not seen.failures, seen.told()


@pytest.mark.alone
def test_a_killed_operator_is_not_noticed(registry: Registry) -> None:
    seen = events.kill_of_the_operator(registry)
    assert not seen.failures, seen.told()


@pytest.mark.alone
def test_a_killed_database_makes_requests_wait(registry: Registry) -> None:
    seen = events.kill_of_the_database(registry)
    _told_to_wait(seen)


@pytest.mark.alone
def test_a_rotated_database_password_makes_requests_wait(registry: Registry) -> None:
    seen = events.rotation_of_the_password(registry)
    _told_to_wait(seen)


def _told_to_wait(seen: Traffic) -> None:
    """By the registry, always. Traefik was seen to answer one upload in a thousand by itself, with a bare 500."""
    assert seen.failures
    assert not [each for each in events.beside_waiting(seen) if "errors" in each.told], seen.told()


@pytest.mark.alone
def test_a_killed_registry_comes_back_by_itself(registry: Registry) -> None:
    events.kill_of_the_registry(registry)


def test_read_only_serves_and_refuses(registry: Registry) -> None:
    registry.change(mode="ReadOnly")
    with registry.client() as client:
        eventually(lambda: client.post(f"/v2/{_NAME}/blobs/uploads/").status_code == 405, 20, registry.told)
        assert client.get(f"/v2/{_NAME}/manifests/1", headers=traffic.ACCEPT).status_code == 200
    registry.change(mode="Active")


def test_it_sleeps_and_wakes(registry: Registry) -> None:
    registry.change(mode="Hibernated")
    registry.wait(status="False", reason="Hibernated")
    eventually(lambda: not [pod for pod in registry.pods() if pod["status"]["phase"] == "Running"], 90, registry.told)
    registry.change(mode="Active")
    registry.wait()


def test_a_volume_that_is_nearly_full_says_so_and_gives_back_what_is_deleted(registry: Registry) -> None:
    with registry.client() as client:
        _pushed(client, "large/app", bytes(40 << 20))
        ballast = f"{registry.volume}/ballast"
        free = registry.cluster.machine.run("df", "--block-size=1", "--output=avail", registry.volume).split()[-1]
        registry.cluster.machine.run("fallocate", "--length", str(int(free) - (2 << 20)), ballast)
        try:
            registry.look()
            told = registry.wait("SpaceAvailable", "False", reason="VolumeNearlyFull")
            assert "pier-data" in told["message"]
            refused = client.post("/v2/more/app/blobs/uploads/")
            assert refused.status_code == 503, refused.text
            deleted = client.delete("/v2/large/app/manifests/1")
            assert deleted.status_code == 202, deleted.text
            assert int(deleted.headers["pier-freed-bytes"]) >= 40 << 20
        finally:
            registry.cluster.machine.run("rm", ballast)
    registry.look()
    registry.wait("SpaceAvailable")


def _pushed(client: httpx.Client, name: str, layer: bytes) -> None:
    for blob in (layer, traffic.CONFIG):
        pushed = client.post(f"/v2/{name}/blobs/uploads/?digest={traffic.digest(blob)}", content=blob)
        assert pushed.status_code == 201, pushed.text
    answer = client.put(f"/v2/{name}/manifests/1", content=traffic.manifest(layer), headers=traffic.FORM)
    assert answer.status_code == 201, answer.text


def test_a_deleted_namespace_takes_all_of_it_along(another: Callable[[], Registry]) -> None:
    made = another()
    made.create(storage={"persistentVolume": {"size": "1Gi"}})
    made.wait("StorageReady")
    volume = made.volume
    made.cluster.kubectl("delete", "namespace", made.namespace, "--wait=false")
    eventually(lambda: volume.rpartition("/")[2] not in made.cluster.kubectl("get", "pv"), 240, made.told)


def test_its_resource_goes_and_comes_again(registry: Registry) -> None:
    before = registry.api.secret(registry.namespace, "pier-admin")
    registry.cluster.kubectl("delete", "pierregistry", registry.name, "-n", registry.namespace)
    eventually(lambda: not registry.pods("registry") and not registry.pods("database"), 120)
    registry.create(**behind_ingress(clusters.HOSTS[2]))
    registry.wait()
    assert registry.api.secret(registry.namespace, "pier-admin") == before


def test_a_restarted_node_brings_it_back(registry: Registry) -> None:
    before = _containers(registry)
    registry.cluster.machine.power_off()
    registry.cluster.boot()
    # What was known of the pods before the node fell is not news.
    eventually(lambda: before.isdisjoint(_containers(registry)) and _answers(registry), 240, registry.told)


def _containers(registry: Registry) -> set[str]:
    """Those of the registry that are said to run."""
    return {
        state["containerID"]
        for pod in registry.pods("registry")
        for state in pod["status"].get("containerStatuses", [])
        if "running" in state["state"]
    }


def _answers(registry: Registry) -> bool:
    try:
        with registry.client() as client:
            return client.get("/v2/").status_code == 200
    except (httpx.TransportError, KubeError):
        return False
