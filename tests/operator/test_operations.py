"""docs/operations-kubernetes.md: its lines do what it says, and its tables tell all that there is."""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import click
import pytest
import yaml

from pier_operator import api
from pier_operator.api import Manifest
from pier_operator.plan.nodes import CONDITION
from pier_operator.plan.status import PARTS, SPACE
from pier_registry.cli import pier
from tests.house.pages import ROOT, page
from tests.operator import typed
from tests.operator.agreement import secrets
from tests.operator.cluster import Cluster, Operator, eventually
from tests.parts.kubernetes_programs import program

_PAGE: Final = "docs/operations-kubernetes.md"
_RUNBOOKS: Final = "docs/runbooks.md"
_REASON: Final = re.compile(r"[A-Z][A-Za-z]+")
_NAME: Final = "first"
_GROWING: Final = """
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: growing}
provisioner: example.org/none
allowVolumeExpansion: true
"""
# Told of these by the type of exposure, as the API spells it.
_BY_TYPE: Final = frozenset({"LoadBalancer", "NodePort"})


_line = partial(typed.command, _PAGE)
_lines = partial(typed.block, _PAGE)


# --- Lines of kubectl, at an API server with an operator ---


class _Terminal:
    """Where kubectl means the test's cluster and a namespace."""

    def __init__(self, cluster: Cluster, home: Path) -> None:
        self.home = home
        self._cluster = cluster
        (home / "kubectl").symlink_to(program("kubectl"))

    def run(self, namespace: str, line: str, stdin: str | None = None) -> str:
        kubeconfig = self.home / "kubeconfig"
        held = json.loads(self._cluster.plane.kubeconfig.read_text())
        held["contexts"][0]["context"]["namespace"] = namespace
        kubeconfig.write_text(json.dumps(held))
        own = {"KUBECONFIG": str(kubeconfig), "HOME": str(self.home), "PATH": f"{self.home}:{os.environ['PATH']}"}
        done = subprocess.run(
            ["sh", "-euc", line],
            input=stdin,
            cwd=self.home,
            env=os.environ | own,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout


@pytest.fixture
def terminal(cluster: Cluster, operator: Operator, tmp_path: Path) -> _Terminal:
    return _Terminal(cluster, tmp_path)


@pytest.fixture
def registry(cluster: Cluster, operator: Operator, namespace: str) -> str:
    """The namespace of registry `first`."""
    cluster.create(namespace, _NAME)
    _wait_for(cluster, namespace, "RegistryAvailable", "Available")
    return namespace


def _wait_for(cluster: Cluster, namespace: str, kind: str, reason: str) -> None:
    def told() -> Manifest:
        return (cluster.get("PierRegistry", namespace, _NAME) or {}).get("status") or {}

    eventually(lambda: cluster.condition(namespace, kind, _NAME).get("reason") == reason, 40, lambda: str(told()))


@pytest.fixture
def elsewhere(cluster: Cluster, namespace: str) -> Iterator[str]:
    """Another namespace, for what is restored."""
    name = f"{namespace}-restored"
    body: Manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    cluster.kube.request("POST", "/api/v1/namespaces", body=body)
    yield name
    cluster.kube.request("DELETE", f"/api/v1/namespaces/{name}", body={})


def test_a_registry_made_from_saved_secrets_has_its_passwords_and_ca(
    cluster: Cluster, terminal: _Terminal, registry: str, elsewhere: str
) -> None:
    terminal.run(registry, _line("go-template"))
    (block,) = page(_PAGE).blocks("yaml")
    (terminal.home / "first.yaml").write_text(block)
    for line in _lines("kubectl apply --filename secrets.yaml")[:2]:
        terminal.run(elsewhere, line)
    _wait_for(cluster, elsewhere, "RegistryAvailable", "Available")
    before, after = (secrets(cluster.kube, place) for place in (registry, elsewhere))
    for name in ("first-admin", "first-users", "first-ca", "first-db"):
        assert after[name] == before[name], name
    assert after["first-users-file"]["mode"] == "read-only\n"
    terminal.run(elsewhere, _line('"Active"'))
    eventually(lambda: secrets(cluster.kube, elsewhere)["first-users-file"]["mode"] == "active\n")


@pytest.fixture
def growing(cluster: Cluster, operator: Operator, namespace: str) -> str:
    """The namespace of registry `first`, whose volumes can grow."""
    cluster.plane.kubectl("apply", "--filename=-", stdin=_GROWING)
    claim = {"storageClassName": "growing"}
    managed = {"type": "Managed", "managed": {"storage": claim}}
    cluster.create(namespace, _NAME, {"storage": {"persistentVolume": claim}, "database": managed})
    _wait_for(cluster, namespace, "RegistryAvailable", "Available")
    return namespace


def test_both_volumes_grow(cluster: Cluster, terminal: _Terminal, growing: str) -> None:
    for line in _lines('"size": "40Gi"'):
        terminal.run(growing, line)

    def sizes() -> tuple[str, ...]:
        claims = [cluster.get("PersistentVolumeClaim", growing, f"first-{part}") for part in ("data", "mysql")]
        return tuple(str(each["spec"]["resources"]["requests"]["storage"]) for each in claims if each)

    eventually(lambda: sizes() == ("40Gi", "10Gi"), told=lambda: str(sizes()))
    eventually(lambda: _status(cluster, growing)["storage"].get("capacity") == "40Gi", 30)


def _status(cluster: Cluster, namespace: str) -> dict[str, Any]:
    found = cluster.get("PierRegistry", namespace, _NAME)
    assert found
    return dict(found["status"])


def test_a_volume_that_cannot_grow_is_told(cluster: Cluster, terminal: _Terminal, registry: str) -> None:
    terminal.run(registry, _lines('"size": "40Gi"')[0])
    _wait_for(cluster, registry, "SpecValid", "Refused")
    told = cluster.condition(registry, "SpecValid", _NAME)["message"]
    assert "PersistentVolumeClaim first-data was refused" in told


def test_a_registry_is_watched_when_that_is_asked_for(cluster: Cluster, terminal: _Terminal, registry: str) -> None:
    terminal.run(registry, _line('"monitoring"'))
    found = cluster.get("PierRegistry", registry, _NAME)
    assert found
    assert found["spec"]["monitoring"]["enabled"] is True
    eventually(lambda: _status(cluster, registry)["observedGeneration"] == found["metadata"]["generation"])


def test_pods_that_pull_get_another_password(cluster: Cluster, terminal: _Terminal, registry: str) -> None:
    before = secrets(cluster.kube, registry)
    terminal.run(registry, _line("/data/pier-pull"))
    eventually(
        lambda: (
            secrets(cluster.kube, registry)["first-pull"] != before["first-pull"]
            and secrets(cluster.kube, registry)["first-users-file"] != before["first-users-file"]
        )
    )
    after = secrets(cluster.kube, registry)
    assert after["first-users"]["pier-pull"] in after["first-pull"][".dockerconfigjson"]


def test_what_stays_after_a_registry_is_what_it_says(cluster: Cluster, terminal: _Terminal, registry: str) -> None:
    first, *_, last, _ = _lines("helm uninstall")
    terminal.run(registry, first)
    stays = {("PersistentVolumeClaim", f"first-{part}") for part in ("data", "mysql")}
    stays |= {("Secret", f"first-{part}") for part in ("admin", "users", "ca", "db")}
    eventually(lambda: set(cluster.children(registry)) == stays, 30, lambda: str(set(cluster.children(registry))))
    terminal.run(registry, last)
    eventually(lambda: not cluster.children(registry), 30)


# --- Lines that look, of both pages ---


def test_every_line_of_the_runbooks_is_one_that_works(cluster: Cluster, terminal: _Terminal, registry: str) -> None:
    """What needs a kubelet names a container that is there, and a command of the registry that is one."""
    lines = typed.commands(_RUNBOOKS)
    assert {line.split()[0] for line in lines} == {"kubectl"}
    for line in lines:
        words = shlex.split(line.replace("\\\n", ""))
        if "logs" in words or "exec" in words:
            _names_a_container(cluster, registry, words)
        elif "pier-operator" in line:
            assert words[1:3] == ["--namespace", "pier-system"], line
        else:
            terminal.run(registry, line)


def _names_a_container(cluster: Cluster, namespace: str, words: list[str]) -> None:
    if "deployment/pier-operator" in words:
        return
    place = words[2] if words[2] != "--stdin" else words[3]
    kind, name = ("Deployment", _NAME) if place == f"deployment/{_NAME}" else ("StatefulSet", f"{_NAME}-mysql")
    assert place in {f"deployment/{_NAME}", f"{_NAME}-mysql-0"}, words
    found = cluster.get(kind, namespace, name)
    assert found
    names = [each["name"] for each in found["spec"]["template"]["spec"]["containers"]]
    if "--container" in words:
        assert words[words.index("--container") + 1] in names
    else:
        assert len(names) == 1, words
    if "exec" in words and words[words.index("--") + 1] == "pier":
        _parse(pier, words[words.index("--") + 2 :])


def _parse(command: click.Command, words: list[str]) -> None:
    """Raises for a verb or an option that is none."""
    assert isinstance(command, click.Group)
    verb = command.get_command(click.Context(command), words[0])
    assert verb, words
    verb.make_parser(click.Context(verb, parent=click.Context(command, **command.context_settings))).parse_args(
        words[1:]
    )


# --- Tables ---


def _told_reasons() -> set[str]:
    """Second cells of the table of conditions."""
    rows = [row for row in page(_PAGE).rows() if len(row) == 3 and _REASON.fullmatch(row[1].strip("`"))]
    return {row[1].strip("`") for row in rows}


def _set_reasons() -> set[str]:
    """What the operator's code gives as a reason: of a condition, or with its sentence as a pair."""
    found: set[str] = set()
    for path in sorted((ROOT / "operator" / "pier_operator").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            found |= set(_reasons_in(node))
    return found


def _reasons_in(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Condition":
        if len(node.args) == 4:
            yield from _constants(node.args[2])
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Verdict" and node.args[1:]:
        yield from _constants(node.args[1])
    elif isinstance(node, ast.Tuple) and len(node.elts) == 2 and _is_sentence(node.elts[1]):
        yield from _constants(node.elts[0])
    elif isinstance(node, ast.FunctionDef):
        named = dict(zip([each.arg for each in reversed(node.args.args)], reversed(node.args.defaults), strict=False))
        if "reason" in named:
            yield from _constants(named["reason"])


def _constants(node: ast.AST) -> Iterator[str]:
    for each in ast.walk(node):
        if isinstance(each, ast.Constant) and isinstance(each.value, str) and _REASON.fullmatch(each.value):
            yield each.value


def _is_sentence(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value
    )


def test_every_reason_that_the_operator_can_give_is_explained_and_no_other() -> None:
    events = {span for span in page(_PAGE).spans() if span == "PasswordReplaced"}
    assert _told_reasons() | events == _set_reasons() | _BY_TYPE


def test_every_condition_that_the_operator_can_set_is_explained() -> None:
    told = {row[0].strip("`") for row in page(_PAGE).rows() if len(row) == 3 and row[0].startswith("`")}
    conditions = {
        "Ready",
        "Reconciling",
        "Stalled",
        "Paused",
        "Contested",
        "UsersActive",
        "HostReachable",
        SPACE,
        CONDITION,
    }
    assert told == conditions | set(PARTS)


def test_every_claim_of_a_level_names_a_test_that_is_there() -> None:
    claims = [row[2].strip("`") for row in page(_PAGE).rows() if len(row) == 3 and row[2].startswith("`tests/")]
    assert len(claims) > 10
    assert [claim for claim in claims if not _is_test(claim)] == []
    levels = [row[0] for row in page(_PAGE).rows() if re.match(r"\d ", row[0])]
    assert [level[0] for level in levels] == list("12345")


def _is_test(claim: str) -> bool:
    path, _, name = claim.partition("::")
    file = ROOT / path
    return file.is_file() and bool(name) and f"def {name}(" in file.read_text(encoding="utf-8")


def test_the_manifest_of_a_restore_is_what_the_api_takes(cluster: Cluster) -> None:
    (block,) = page(_PAGE).blocks("yaml")
    assert yaml.safe_load(block)["kind"] == api.PIER_REGISTRY.name
    cluster.plane.kubectl("create", "--dry-run=server", "--validate=strict", "--filename=-", stdin=block)
