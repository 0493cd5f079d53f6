"""Nodes that trust registries: asked for by the resource, allowed by the chart, done and told by agents."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pier_operator import api
from pier_operator.api import Manifest
from pier_operator.kube import Kube
from pier_operator.observed import decoded
from pier_operator.plan.nodes import CONDITION
from tests.nodes.node import Node as Folders
from tests.operator.cluster import SYSTEM, Cluster, Operator, eventually
from tests.operator.node import Node
from tests.operator.trusting import ALLOWED, BALANCER, NAME, Agent, balanced, install
from tests.parts import control_plane

_TEAM = "team"
_FIRST: Manifest = {"nodeTrust": {"enabled": True}, "expose": {"type": "LoadBalancer"}}
_MERGE = "application/merge-patch+json"


@dataclass(frozen=True, slots=True)
class _World:
    """A registry `first` that serves behind a load balancer, and one node with an agent."""

    cluster: Cluster
    operator: Operator
    agent: Agent

    @property
    def files(self) -> set[str]:
        return self.agent.node.files()

    def claims(self) -> dict[str, str]:
        return decoded(self.cluster.get("Secret", SYSTEM, NAME))

    def status(self, name: str = "first") -> Manifest:
        return (self.cluster.get("PierRegistry", _TEAM, name) or {}).get("status") or {}

    def told(self, name: str = "first") -> Manifest:
        return self.cluster.condition(_TEAM, CONDITION, name)

    def wait_for(self, reason: str, name: str = "first", within: float = 60) -> Manifest:
        def look() -> Manifest | None:
            found = self.told(name)
            return found if found.get("reason") == reason else None

        return eventually(look, within, lambda: json.dumps(self.status(name), indent=1) + self.agent.log.read_text())

    def wait_until_ready(self) -> None:
        """The first one: it may be trusted before its front door has been tried."""
        eventually(
            lambda: self.cluster.condition(_TEAM, "Ready", "first").get("status") == "True",
            60,
            lambda: json.dumps(self.status(), indent=1),
        )

    def create(self, name: str, spec: Manifest) -> None:
        self.cluster.create(_TEAM, name, spec)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_World]:
    """With the rights that the chart gives to an operator of one namespace, and to its agents."""
    with control_plane.running() as plane:
        for namespace in (SYSTEM, _TEAM):
            plane.kubectl("create", "namespace", namespace)
        install(plane, _TEAM)
        kube = Kube.connected(plane.kubeconfig)
        kubelet = Node(kube, served={_TEAM})
        kubelet.start()
        allowed = {
            "PIER_OPERATOR_WATCH_NAMESPACES": _TEAM,
            "PIER_OPERATOR_NODE_TRUST_HOSTS": ",".join(ALLOWED),
            "PIER_OPERATOR_NODE_TRUST_NAME": NAME,
            "PIER_OPERATOR_RESYNC": "5",
        }
        operator = Operator(plane, settings=allowed)
        agent = Agent(plane, kube, "node-a", Folders(tmp_path_factory.mktemp("node-a")))
        try:
            operator.start()
            agent.start()
            yield from _served(_World(Cluster(plane, kube, kubelet), operator, agent))
        finally:
            agent.stop()
            operator.stop()
            kubelet.stop()


def _served(world: _World) -> Iterator[_World]:
    world.create("first", _FIRST)
    service = eventually(
        lambda: world.cluster.get("Service", _TEAM, "first"), 30, lambda: world.operator.log.read_text()[-4000:]
    )
    points = {"status": {"loadBalancer": {"ingress": [{"ip": BALANCER}]}}}
    target = f"/api/v1/namespaces/{_TEAM}/services/first/status"
    world.cluster.kube.request("PATCH", target, body=points, form=_MERGE)
    with balanced(service["spec"]["clusterIP"]):
        yield world


_CA = f"containerd/certs.d/{BALANCER}/ca.crt"
_ALL = {_CA, f"containerd/certs.d/{BALANCER}/hosts.toml", f"docker/certs.d/{BALANCER}/ca.crt"}


def test_a_node_trusts_a_registry_that_asks(world: _World) -> None:
    told = world.wait_for("Trusted", within=240)
    assert told["status"] == "True"
    assert told["message"] == f"1 of 1 nodes trust {BALANCER}: each has its CA and logs in"
    assert world.status()["nodeTrust"] == {"nodes": 1, "trusted": 1}
    assert world.files == _ALL
    published = world.cluster.get("ConfigMap", _TEAM, "first-ca")
    assert published
    assert (world.agent.node.home / _CA).read_text().split("\n", 1)[1] == published["data"]["ca.crt"]
    world.wait_until_ready()


def test_what_agents_are_given_opens_nothing(world: _World) -> None:
    """The claim of a registry has a CA that is public, and a user who may pull what is not there."""
    world.wait_for("Trusted", within=240)
    given = world.claims()
    assert set(given) == {"complete", "team.first"}
    assert json.loads(given["team.first"])["user"] == "pier-nodes"
    rights = json.loads(world.cluster.secret(_TEAM, "first-users-file")["rights.yaml"])
    assert rights["users"]["pier-nodes"] == [{"role": "pull", "repositories": ["pier-nodes"]}]


def test_at_rest_nothing_is_written(world: _World) -> None:
    world.wait_for("Trusted", within=240)
    world.wait_until_ready()
    before = _versions(world)
    time.sleep(4)
    assert _versions(world) == before


def _versions(world: _World) -> list[str]:
    found = [world.cluster.get(kind, SYSTEM, NAME) for kind in ("Secret", "ConfigMap")]
    found += [world.agent.pod, world.cluster.get("PierRegistry", _TEAM, "first")]
    return [each["metadata"]["resourceVersion"] for each in found if each]


def test_the_next_ca_reaches_the_node_before_it_is_in_force(world: _World) -> None:
    world.wait_for("Trusted", within=240)
    world.cluster.change(_TEAM, "first", metadata={"annotations": {api.ROTATE_CA: "1"}})
    eventually(lambda: (world.agent.node.home / _CA).read_text().count("BEGIN") == 2, 30)
    world.wait_for("Trusted")
    assert world.status()["tls"]["caPhase"] == "Publishing"


def test_a_file_of_somebody_else_is_told_with_its_node(world: _World) -> None:
    world.wait_for("Trusted", within=240)
    theirs = world.agent.node.home / _CA
    theirs.write_text("theirs\n")
    told = world.wait_for("FileTaken", within=90)
    assert told["status"] == "False"
    assert told["message"].startswith(f"0 of 1 nodes trust {BALANCER}; node-a: {theirs} is not Pier's")
    assert world.status()["nodeTrust"] == {"nodes": 1, "trusted": 0}
    assert world.cluster.condition(_TEAM, "Ready", "first")["status"] == "True"
    assert theirs.read_text() == "theirs\n"
    theirs.unlink()
    world.wait_for("Trusted")
    assert world.files == _ALL


def test_a_host_of_two_registries_goes_to_neither(world: _World) -> None:
    world.wait_for("Trusted", within=240)
    world.create("second", {"host": BALANCER, "mode": "Hibernated", "nodeTrust": {"enabled": True}})
    told = world.wait_for("HostConflict", "second")
    assert f"team/first asks for {BALANCER}, too" in told["message"]
    eventually(lambda: world.files == set(), 30, lambda: str(world.files))
    world.wait_for("HostConflict", "first", within=90)
    world.cluster.delete("PierRegistry", _TEAM, "second")
    world.wait_for("Trusted", within=90)
    assert world.files == _ALL


def test_a_host_that_is_not_allowed_says_what_to_set(world: _World) -> None:
    world.create("third", {"host": "registry.example.org", "mode": "Hibernated", "nodeTrust": {"enabled": True}})
    told = world.wait_for("NotAllowed", "third")
    assert told["status"] == "False"
    assert "put registry.example.org into nodeTrust.allowedHosts of the operator's chart" in told["message"]
    assert "team.third" not in world.claims()
    world.cluster.delete("PierRegistry", _TEAM, "third")


def test_a_registry_that_takes_its_wish_back_is_taken_off_the_node(world: _World) -> None:
    world.wait_for("Trusted", within=240)
    world.cluster.change(_TEAM, "first", spec={"nodeTrust": {"enabled": False}})
    told = world.wait_for("NotRequested")
    assert f"mkdir -p /etc/containerd/certs.d/{BALANCER}; kubectl get configmap first-ca" in told["message"]
    eventually(lambda: world.files == set(), 30)
    assert "nodeTrust" not in world.status()
    assert set(world.claims()) == {"complete"}
    eventually(lambda: "pier-nodes" not in world.cluster.secret(_TEAM, "first-users-file")["users.htpasswd"])
    world.cluster.change(_TEAM, "first", spec={"nodeTrust": {"enabled": True}})
    world.wait_for("Trusted", within=90)


def test_a_node_that_is_gone_is_forgotten_and_one_without_an_answer_is_named(world: _World, tmp_path: Path) -> None:
    world.wait_for("Trusted", within=240)
    other = Agent(world.cluster.plane, world.cluster.kube, "node-b", Folders(tmp_path / "node-b"))
    other.bind()
    told = world.wait_for("Spreading", within=90)
    assert told["message"] == f"1 of 2 nodes trust {BALANCER}; not yet: node-b"
    other.start()
    world.wait_for("Trusted")
    assert world.status()["nodeTrust"] == {"nodes": 2, "trusted": 2}
    assert other.stop() == 0
    assert other.node.files() == _ALL
    other.unbind()
    eventually(lambda: world.status()["nodeTrust"] == {"nodes": 1, "trusted": 1}, 90)
    eventually(lambda: set(_reports(world)) == {"node-a"}, 30)


def _reports(world: _World) -> dict[str, str]:
    found = world.cluster.get("ConfigMap", SYSTEM, NAME) or {}
    return found.get("data") or {}


def test_files_stay_while_the_operators_list_is_lost_and_made_anew(world: _World) -> None:
    """As when the release is removed and installed again."""
    world.wait_for("Trusted", within=240)
    before = {name: (world.agent.node.home / name).stat().st_ino for name in _ALL}
    world.operator.stop()
    secret = world.cluster.get("Secret", SYSTEM, NAME)
    assert secret
    world.cluster.kube.request("PATCH", f"/api/v1/namespaces/{SYSTEM}/secrets/{NAME}", body={"data": None}, form=_MERGE)
    pod = world.agent.pod
    assert pod
    world.cluster.kube.annotate(pod, {api.SECRETS_HASH: "emptied"})
    time.sleep(2.5)
    world.operator.start()
    eventually(lambda: world.claims() == decoded(secret), 60, lambda: world.operator.log.read_text()[-4000:])
    world.wait_for("Trusted")
    assert {name: (world.agent.node.home / name).stat().st_ino for name in _ALL} == before


def test_a_registry_that_goes_while_no_operator_works_is_taken_off_later(world: _World) -> None:
    """The last test: the registry is deleted."""
    world.wait_for("Trusted", within=240)
    world.operator.stop()
    world.cluster.delete("PierRegistry", _TEAM, "first")
    time.sleep(1)
    assert world.files == _ALL
    world.operator.start()
    eventually(lambda: world.files == set(), 60, lambda: world.operator.log.read_text()[-4000:])
    assert set(world.claims()) == {"complete"}
