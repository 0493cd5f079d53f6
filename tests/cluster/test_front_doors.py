"""What users outside of the cluster do, by each way in: log in, push, pull, delete, and get the space back."""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.clients.client import Client
from tests.clients.programs import CRANE, DOCKER, HELM, SKOPEO, Program
from tests.clients.v1 import DockerV1
from tests.cluster import cluster
from tests.cluster.hosts import client_of, logged_in
from tests.cluster.registry import Registry
from tests.cluster.running import runs
from tests.parts.images import read_saved
from tests.parts.kubernetes_programs import program

_LEAST: Final = 300 << 20
_BIG: Final = """
mkdir big
printf 'FROM large:1\\nRUN mkdir /srv/more && cp -r /usr/bin /usr/lib /usr/share /srv/more\\n' > big/Dockerfile
docker build --quiet --network none --tag app:1 big
"""


@pytest.fixture(scope="module")
def docker(registry: Registry, saved_images: dict[str, Path]) -> Iterator[Client]:
    """With an image `app:1` of several layers and more than 300 MB."""
    with client_of(DOCKER, registry) as client:
        client.terminal.run(f"docker load --quiet --input {saved_images['large']}{_BIG}")
        size, layers = client.terminal.run(
            "docker image inspect --format '{{.Size}} {{len .RootFS.Layers}}' app:1"
        ).split()
        assert int(size) >= _LEAST
        assert int(layers) >= 3
        yield client


def test_its_resource_tells_that_it_is_ready(registry: Registry) -> None:
    columns = registry.cluster.kubectl("get", "pierregistries", "-n", registry.namespace).splitlines()
    assert columns[0].split() == ["NAME", "READY", "STATUS", "ENDPOINT", "VERSION", "REPLICAS", "AGE"]
    assert columns[1].split()[:6] == ["pier", "True", "Ready", cluster.HOSTS[0], "0.1.0", "1"]


def test_docker_pushes_three_hundred_megabytes_through_the_ingress_and_gets_them_back(
    registry: Registry, docker: Client
) -> None:
    _pulls_all_of_it(docker, docker.pulled_digest("team", docker.push("team")))


def _pulls_all_of_it(client: Client, digest: str) -> None:
    client.terminal.run("docker system prune --all --force")
    assert client.pulled_digest("team", client.pull_without_running("team")) == digest
    client.terminal.run(f"docker tag {client.reference('team')} app:1")


def test_a_delete_gives_the_volume_its_bytes_back(registry: Registry, docker: Client) -> None:
    before = registry.used()
    docker.push("gone")
    assert registry.used() - before < 1 << 20  # mounted: nothing is stored twice
    with registry.client() as client:
        for name in ("team/app", "gone/app"):
            held = registry.used()
            answer = client.delete(f"/v2/{name}/manifests/1")
            assert answer.status_code == 202, answer.text
            freed = held - registry.used()
            told = int(answer.headers["pier-freed-bytes"])
            assert abs(freed - told) <= 64 << 10
    assert told > 100 << 20  # compressed; the last one that held them
    assert registry.used() < before


@pytest.mark.parametrize("kind", [SKOPEO, CRANE], ids=lambda kind: kind.id)
def test_todays_clients_go_by_the_manual(registry: Registry, kind: Program, saved_images: dict[str, Path]) -> None:
    with client_of(kind, registry) as client:
        client.prepare(saved_images["small"], "small:1")
        client.push(kind.id)
        client.pull(kind.id)
        client.delete(kind.id)
    with registry.client() as asking:
        assert asking.get(f"/v2/{kind.id}/app/tags/list").status_code == 404


def test_helm_keeps_piers_own_chart_in_pier(registry: Registry) -> None:
    with client_of(HELM, registry) as client:
        host = registry.host
        told = client.terminal.run(
            f"helm package {cluster.CHART} && helm push pier-0.1.0.tgz oci://{host}/charts --ca-file ca.crt && "
            f"helm show chart oci://{host}/charts/pier --version 0.1.0 --ca-file ca.crt"
        )
    assert "name: pier" in told


def test_a_v1_client_pushes_through_the_same_host(
    registry: Registry, saved_images: dict[str, Path], tmp_path: Path
) -> None:
    """And the node's own runtime of today gets what it pushed."""
    ca = registry.write_ca(tmp_path / "ca.crt")
    old = DockerV1(
        registry.host,
        ca=ca,
        user="admin",
        password=registry.password(),
        version="1.6.2",
        address=registry.cluster.front,
    )
    old.login()
    old.push("old/app", {"1": read_saved(saved_images["chain"])[0]})
    assert set(old.pull("old/app", "1")) == {"1"}
    accept = "application/vnd.docker.distribution.manifest.v2+json"
    with registry.client() as client:
        answer = client.get("/v2/old/app/manifests/1", headers={"accept": accept})
    assert answer.json()["layers"]
    assert old.delete_tag("old/app", "1").status == 200


@pytest.fixture(scope="module")
def balanced(cluster: cluster.Cluster, registry: Registry) -> Iterator[Registry]:
    """Behind a load balancer, without a name."""
    made = Registry(cluster, registry.api, cluster.namespace("balanced"))
    made.create(expose={"type": "LoadBalancer"}, storage={"persistentVolume": {"size": "1Gi"}})
    made.wait()
    yield made
    cluster.kubectl("delete", "namespace", made.namespace, "--wait=false")


def test_a_load_balancer_leads_to_the_registry(balanced: Registry, saved_images: dict[str, Path]) -> None:
    with client_of(CRANE, balanced, balanced.host) as client:
        client.prepare(saved_images["small"], "small:1")
        client.push("team")
        client.pull("team")


def test_a_port_of_the_node_takes_three_hundred_megabytes(balanced: Registry, docker: Client) -> None:
    """The same registry, exposed in another way while it runs."""
    node = balanced.cluster.machine.address
    balanced.change(host=node, expose={"type": "NodePort"})
    balanced.wait()
    assert balanced.host.startswith(f"{node}:3")
    client = logged_in(DOCKER, docker.terminal, balanced)
    digest = client.pulled_digest("team", client.push("team"))
    _pulls_all_of_it(client, digest)


def test_a_gateway_leads_to_the_registry(
    another: Callable[[], Registry], cluster: cluster.Cluster, tmp_path: Path
) -> None:
    """It ends TLS with a certificate of its own."""
    found = another()
    host = "r1.example.org"
    pair = cluster.plane.authority.issue("gateway", "gateway", names=(host,))
    texts = {"tls__crt": pair.certificate.read_text(), "tls__key": pair.key.read_text()}
    found.api.make_secret(found.namespace, "gateway", **texts)
    listener = {
        "name": "https",
        "protocol": "HTTPS",
        "port": 8443,
        "tls": {"certificateRefs": [{"name": "gateway"}]},
        "allowedRoutes": {"namespaces": {"from": "All"}},
    }
    gateway = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": {"name": "front", "namespace": found.namespace},
        "spec": {"gatewayClassName": "traefik", "listeners": [listener]},
    }
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(gateway))
    found.create(
        host=host,
        expose={
            "type": "Gateway",
            "gateway": {"parentRefs": [{"name": "front"}]},
            "trustedProxies": ["10.244.0.0/16"],
        },
        networkPolicy={"ingressFrom": [{"namespaceLabels": {"kubernetes.io/metadata.name": "traefik"}}]},
        storage={"persistentVolume": {"size": "1Gi"}},
    )
    found.wait()
    assert found.condition("Exposed")["status"] == "True"
    with found.client(trusting=ssl.create_default_context(cafile=cluster.plane.ca)) as client:
        found.answers(client)
        pushed = client.post("/v2/team/app/blobs/uploads/")
        assert pushed.status_code == 202, pushed.text


def test_a_deployment_runs_an_image_from_the_registry(registry: Registry, saved_images: dict[str, Path]) -> None:
    """On a node that was told by hand, with the lines of the resource's status."""
    with client_of(CRANE, registry) as client:
        client.terminal.run(f"crane push {saved_images['small']} {registry.host}/team/small:1")
    found = re.search(r"on each node: (.*); for Docker", registry.condition("NodesTrust")["message"])
    assert found, registry.condition("NodesTrust")
    kubectl = f"KUBECONFIG={registry.cluster.kubeconfig} PATH={program('kubectl').parent}:$PATH"
    registry.cluster.machine.run("sh", "-euc", f"export {kubectl}; {found[1]}")
    runs(registry, "team/small:1")
