"""docs/kubernetes.md, where it tells how a registry is kept: its lines do to a real registry what it says they do.

And the front doors of docs/ingress.md. What a newcomer types first is in tests/cluster.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from pier_operator import api, x509
from pier_operator.api import Manifest
from pier_operator.plan.nodes import CONDITION
from pier_operator.plan.status import PARTS, SPACE
from pier_operator.probe import HOST
from tests.house.pages import page
from tests.operator.agreement import secrets
from tests.operator.cluster import Cluster, Operator, eventually
from tests.operator.planning import planned, settled
from tests.parts.certificates import Authority
from tests.parts.kubernetes_programs import program

_PROMPT: Final = re.compile(r"^\$ ", re.MULTILINE)
_NAME: Final = "first"


def _typed(about: str) -> str:
    """The lines of the block that has `about` in it, without prompts."""
    (block,) = [block for block in page("docs/kubernetes.md").blocks("console") if about in block]
    return _PROMPT.sub("", block)


def _manifest(about: str, name: str = "docs/kubernetes.md") -> Manifest:
    (block,) = [block for block in page(name).blocks("yaml") if about in block]
    held: Manifest = yaml.safe_load(block)
    return held


class _Terminal:
    """Where kubectl means the test's cluster and namespace."""

    def __init__(self, cluster: Cluster, namespace: str, home: Path) -> None:
        self.home = home
        self._kubeconfig = home / "kubeconfig"
        held = json.loads(cluster.plane.kubeconfig.read_text())
        held["contexts"][0]["context"]["namespace"] = namespace
        self._kubeconfig.write_text(json.dumps(held))
        (home / "kubectl").symlink_to(program("kubectl"))

    def type(self, about: str, stdin: str | None = None) -> None:
        self.run(_typed(about), stdin)

    def run(self, lines: str, stdin: str | None = None) -> None:
        own = {"KUBECONFIG": str(self._kubeconfig), "HOME": str(self.home)}
        done = subprocess.run(
            ["sh", "-euc", lines],
            input=stdin,
            cwd=self.home,
            env={**os.environ, **own, "PATH": f"{self.home}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"{lines}\n{done.stdout}{done.stderr}"


@pytest.fixture
def terminal(cluster: Cluster, operator: Operator, namespace: str, tmp_path: Path) -> _Terminal:
    return _Terminal(cluster, namespace, tmp_path)


@pytest.fixture
def registry(cluster: Cluster, terminal: _Terminal, namespace: str) -> str:
    """The namespace of registry `first`, which has user `builder`."""
    cluster.create(namespace, _NAME, {"auth": {"users": [{"name": "builder"}]}})
    _wait_for(cluster, namespace, "RegistryAvailable", "Available")
    return namespace


def _status(cluster: Cluster, namespace: str, name: str = _NAME) -> dict[str, Any]:
    return (cluster.get("PierRegistry", namespace, name) or {}).get("status") or {}


def _wait_for(cluster: Cluster, namespace: str, kind: str, reason: str, name: str = _NAME) -> None:
    def holds() -> bool:
        return cluster.condition(namespace, kind, name).get("reason") == reason

    eventually(holds, 30, lambda: json.dumps(_status(cluster, namespace, name), indent=1))


def test_a_registry_becomes_read_only_and_falls_asleep(cluster: Cluster, terminal: _Terminal, registry: str) -> None:
    terminal.type('"ReadOnly"')
    eventually(lambda: secrets(cluster.kube, registry)["first-users-file"]["mode"] == "read-only\n")
    terminal.run(_typed('"ReadOnly"').replace("ReadOnly", "Hibernated"))
    _wait_for(cluster, registry, "Ready", "Hibernated")


def test_the_password_of_admin_is_the_one_that_is_written(cluster: Cluster, terminal: _Terminal, registry: str) -> None:
    before = secrets(cluster.kube, registry)
    terminal.type("first-admin --type merge")
    after = _changed(cluster, registry, "first-users-file", before)
    assert after["first-admin"]["password"] == "a new one"
    assert [line for line in _lines(after) if line not in _lines(before)] == [
        line for line in _lines(after) if line.startswith("admin:")
    ]


def test_a_generated_password_that_is_taken_away_is_made_anew(
    cluster: Cluster, terminal: _Terminal, registry: str
) -> None:
    before = secrets(cluster.kube, registry)
    terminal.type("/data/builder")
    after = _changed(cluster, registry, "first-users-file", before)
    made, old = after["first-users"], before["first-users"]
    assert len(made["builder"]) == 32
    assert {name for name in made if made[name] != old[name]} == {"builder"}


def _changed(
    cluster: Cluster, namespace: str, name: str, before: dict[str, dict[str, str]]
) -> dict[str, dict[str, str]]:
    eventually(lambda: secrets(cluster.kube, namespace).get(name) not in (None, before[name]))
    return secrets(cluster.kube, namespace)


def _lines(held: dict[str, dict[str, str]]) -> list[str]:
    return held["first-users-file"]["users.htpasswd"].splitlines()


def test_a_secret_with_the_label_is_read_at_once(cluster: Cluster, terminal: _Terminal, registry: str) -> None:
    cluster.make_secret(registry, "builder-password", password="the first one")
    users = [{"name": "builder", "passwordSecretRef": {"name": "builder-password"}}]
    before = secrets(cluster.kube, registry)
    cluster.change(registry, _NAME, spec={"auth": {"users": users}})
    before = _changed(cluster, registry, "first-users-file", before)
    terminal.type("kubectl label")
    cluster.patch("Secret", registry, "builder-password", {"stringData": {"password": "the second one"}})
    _changed(cluster, registry, "first-users-file", before)


def test_the_database_gets_another_password(cluster: Cluster, terminal: _Terminal, registry: str) -> None:
    before = secrets(cluster.kube, registry)
    terminal.type("first-db --type merge")
    wanted = secrets(cluster.kube, registry)["first-db"]["password"]
    assert wanted != before["first-db"]["password"]
    after = _changed(cluster, registry, "first-db-url", before)
    assert f":{wanted}@" in after["first-db-url"]["url"]
    eventually(lambda: "previous-password" not in secrets(cluster.kube, registry)["first-db"], 30)


def test_the_next_ca_is_published_beside_the_one_in_force(cluster: Cluster, terminal: _Terminal, registry: str) -> None:
    terminal.type("rotate-ca")
    eventually(lambda: _status(cluster, registry)["tls"]["caPhase"] == "Publishing")
    found = cluster.get("ConfigMap", registry, "first-ca")
    assert found
    assert len(x509.certificates(found["data"]["ca.crt"])) == 2


def test_nodes_are_asked_to_trust(cluster: Cluster, terminal: _Terminal, namespace: str) -> None:
    """This operator has no host that it may let nodes trust, so it says so."""
    cluster.create(namespace, "team", {"host": "registry.example.org"})
    _wait_for(cluster, namespace, "NodesTrust", "NotRequested", "team")
    patch, wait = _typed('"nodeTrust"').splitlines()
    terminal.run(patch)
    _wait_for(cluster, namespace, "NodesTrust", "NotAllowed", "team")
    assert f"condition={CONDITION} " in wait
    assert wait.endswith("pierregistry/team")


def test_a_database_of_ones_own_is_taken(cluster: Cluster, terminal: _Terminal, namespace: str) -> None:
    (terminal.home / "ca.crt").write_bytes(Authority(terminal.home / "tls").pair.certificate.read_bytes())
    terminal.type("secret generic")
    terminal.run("kubectl apply --filename -", json.dumps(_manifest("type: External")))
    _wait_for(cluster, namespace, "DatabaseReady", "External", "external")
    assert secrets(cluster.kube, namespace)["external-db-url"]["url"] == (
        "mysql+pymysql://pier:secret@db.example.org:3306/pier?ssl_ca=/etc/pier/database/ca.crt"
    )


def test_what_stays_is_what_it_says_and_goes_as_it_says(cluster: Cluster, terminal: _Terminal, registry: str) -> None:
    told = {
        (kind, name)
        for kind, *cells in page("docs/kubernetes.md").rows()
        if kind in api.KINDS
        for name in re.findall(r"`([^`]+)`", cells[0])
    }
    assert len(told) == 6
    cluster.delete("PierRegistry", registry, _NAME)
    eventually(lambda: set(cluster.children(registry)) == told, 30, lambda: str(set(cluster.children(registry))))
    terminal.type("persistentvolumeclaims,secrets")
    eventually(lambda: not cluster.children(registry), 30, lambda: str(set(cluster.children(registry))))


@pytest.mark.parametrize(
    ("name", "about", "child"),
    [
        ("docs/kubernetes.md", "type: Ingress", "Ingress"),
        ("docs/ingress.md", "type: Ingress", "Ingress"),
        ("docs/ingress.md", "type: Gateway", "HTTPRoute"),
    ],
)
def test_its_front_doors_lead_to_the_plain_port(name: str, about: str, child: str) -> None:
    spec = _manifest(about, name)["spec"]
    plan = planned(spec, children=settled(spec))
    assert (child, "pier") in plan.wanted()
    told = plan.condition("Exposed")
    assert told
    assert told.holds
    (policy,) = [each.manifest for each in plan.children if each.key == ("NetworkPolicy", "pier")]
    (peers,) = [rule["from"] for rule in policy["spec"]["ingress"] if rule["ports"][0]["port"] == 5080]
    assert peers == [{"namespaceSelector": {"matchLabels": spec["networkPolicy"]["ingressFrom"][0]["namespaceLabels"]}}]


def test_the_conditions_that_it_explains_are_those_that_ready_does_not_wait_for() -> None:
    named = {row[0].strip("`") for row in page("docs/kubernetes.md").rows() if row[0].startswith("`")}
    assert named == {"UsersActive", HOST, SPACE, CONDITION}
    assert not named & set(PARTS)
