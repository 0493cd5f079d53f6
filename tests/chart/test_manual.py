"""docs/kubernetes.md and docs/ingress.md at a real API server."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.chart.rendering import of_kind, settings
from tests.house.pages import ROOT, page
from tests.parts.control_plane import ControlPlane
from tests.parts.kubernetes_programs import program
from tests.parts.tools import tool

_PROMPT: Final = re.compile(r"^\$ ", re.MULTILINE)
_PAGE: Final = "docs/kubernetes.md"


def _typed(about: str) -> str:
    """The lines of the block that has `about` in it, without prompts."""
    (block,) = [block for block in page(_PAGE).blocks("console") if about in block]
    return _PROMPT.sub("", block)


@pytest.fixture
def terminal(plane: ControlPlane, tmp_path: Path) -> dict[str, str]:
    """An environment where kubectl and helm mean the test's cluster, and nothing of this is there yet."""
    for name, target in (("helm", tool("helm")), ("kubectl", program("kubectl"))):
        (tmp_path / name).symlink_to(target)
    plane.kubectl("delete", "crd", "pierregistries.registry.pier.dev", "--ignore-not-found")
    plane.kubectl("delete", "namespace", "pier-system", "--ignore-not-found")
    own = {"KUBECONFIG": str(plane.kubeconfig), "HOME": str(tmp_path), "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    return {**os.environ, **own}


def _installed() -> str:
    """Nothing waits for pods here: none runs."""
    return _typed("--set image.repository").replace(" --wait", "")


def _run(lines: str, terminal: dict[str, str]) -> str:
    done = subprocess.run(
        ["sh", "-euc", lines], cwd=ROOT, env=terminal, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, f"{lines}\n{done.stdout}{done.stderr}"
    return done.stdout


def test_the_chart_is_installed_as_it_says(terminal: dict[str, str]) -> None:
    _run(_installed(), terminal)
    told = _run("helm get manifest pier --namespace pier-system", terminal)
    assert settings(told)["PIER_OPERATOR_REGISTRY_IMAGE"] == "mirror.example.org/pier/pier-registry:0.1.0"
    _run("helm uninstall pier --namespace pier-system", terminal)


def test_nodes_are_allowed_to_trust_as_it_says(terminal: dict[str, str]) -> None:
    _run(_installed(), terminal)
    _run(_typed("--reset-then-reuse-values"), terminal)
    told = _run("helm get manifest pier --namespace pier-system", terminal)
    assert settings(told)["PIER_OPERATOR_NODE_TRUST_HOSTS"] == "registry.example.org,*.team.example.org"
    assert settings(told)["PIER_OPERATOR_REGISTRY_IMAGE"] == "mirror.example.org/pier/pier-registry:0.1.0"
    (agents,) = of_kind(told, "DaemonSet")
    folders = {each["mountPath"] for each in agents["spec"]["template"]["spec"]["containers"][0]["volumeMounts"]}
    assert {span.removesuffix("/HOST") for span in page(_PAGE).spans() if span.endswith("certs.d/HOST")} < folders
    (span,) = [span for span in page(_PAGE).spans() if "pod-security" in span]
    _run(span, terminal)
    _run("helm uninstall pier --namespace pier-system", terminal)


def test_the_api_can_be_kubectls_first_and_helms_later(terminal: dict[str, str]) -> None:
    _run(_typed("crds.enabled=false"), terminal)
    (span,) = [span for span in page(_PAGE).spans() if "--take-ownership" in span]
    assert span == "helm upgrade --install --take-ownership"
    _run(f"{span} pier charts/pier --namespace pier-system", terminal)
    _run("helm uninstall pier --namespace pier-system", terminal)
    assert "pierregistries" in _run("kubectl get crds --output name", terminal)


def test_its_registries_are_what_the_api_takes(terminal: dict[str, str], plane: ControlPlane) -> None:
    _run("kubectl apply --filename crds/pierregistry.yaml", terminal)
    plane.establish("pierregistries.registry.pier.dev")
    blocks = [*page(_PAGE).blocks("yaml"), *page("docs/ingress.md").blocks("yaml")]
    assert len(blocks) == 6
    for block in blocks:
        plane.kubectl("create", "--dry-run=server", "--validate=strict", "--filename=-", stdin=block)


def test_the_images_are_built_and_installed_under_the_same_names() -> None:
    pushed = {
        words[-1] for line in _typed("docker push mirror").splitlines() if (words := shlex.split(line))[1] == "push"
    }
    (line,) = [line for line in _installed().replace("\\\n", " ").splitlines() if line.strip()]
    named = {word.partition("=")[2] for word in shlex.split(line) if word.endswith(("registry", "operator"))}
    assert {f"{name}:0.1.0" for name in named} == pushed
