"""docs/operations-kubernetes.md at a real API server, where it speaks of the release."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.chart.rendering import manifests, rendered, settings
from tests.house.pages import ROOT
from tests.operator import typed
from tests.parts.control_plane import ControlPlane
from tests.parts.kubernetes_programs import program
from tests.parts.tools import tool

_line = partial(typed.command, "docs/operations-kubernetes.md")


class _Terminal:
    """Where kubectl and helm mean the test's cluster."""

    def __init__(self, plane: ControlPlane, home: Path) -> None:
        for name, target in (("helm", tool("helm")), ("kubectl", program("kubectl"))):
            (home / name).symlink_to(target)
        own = {"KUBECONFIG": str(plane.kubeconfig), "HOME": str(home), "PATH": f"{home}:{os.environ['PATH']}"}
        self._environment = {**os.environ, **own}

    def run(self, line: str) -> str:
        done = subprocess.run(
            ["sh", "-euc", line],
            cwd=ROOT,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout


@pytest.fixture
def terminal(plane: ControlPlane, tmp_path: Path) -> Iterator[_Terminal]:
    """A release `pier` of some values is there, and is gone afterwards, whatever a test has left of it."""
    made = _Terminal(plane, tmp_path)
    given = "--namespace pier-system --create-namespace --set workers=3"
    plane.kubectl("delete", "crd", "pierregistries.registry.pier.dev", "--ignore-not-found")
    made.run(f"helm install pier charts/pier {given}")
    yield made
    plane.kubectl("delete", "namespace", "pier-system", "--ignore-not-found")
    plane.kubectl("delete", "crd", "pierregistries.registry.pier.dev", "--ignore-not-found")


def test_a_release_is_upgraded_and_keeps_its_values(terminal: _Terminal) -> None:
    terminal.run(_line("--reset-then-reuse-values"))
    terminal.run(_line("kubectl get pierregistries --all-namespaces"))
    (told,) = json.loads(terminal.run("helm list --namespace pier-system --output json"))
    assert told["revision"] == "2"
    assert settings(terminal.run("helm get manifest pier --namespace pier-system"))["PIER_OPERATOR_WORKERS"] == "3"


def test_what_is_switched_on_to_watch_is_there() -> None:
    words = shlex.split(_line("prometheusRule.enabled").replace("\\\n", ""))
    kinds = {each["kind"] for each in manifests(rendered({}, "--set", words[words.index("--set") + 1]))}
    assert {"ServiceMonitor", "PrometheusRule", "ConfigMap"} <= kinds
    assert "--reuse-values" in words


def test_after_all_lines_of_the_end_nothing_of_the_operator_is_left(terminal: _Terminal) -> None:
    lease = "kubectl create --namespace pier-system --filename -"
    body = '{"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "pier-operator"}}'
    terminal.run(f"echo '{body}' | {lease}")
    terminal.run(_line("helm uninstall"))
    assert "pierregistries" in terminal.run("kubectl get crds --output name")
    terminal.run(_line("delete crd"))
    terminal.run(_line("delete lease"))
    assert "pierregistries" not in terminal.run("kubectl get crds --output name")
    left = terminal.run("kubectl get all,leases,roles,rolebindings --namespace pier-system --output name")
    assert left == ""
