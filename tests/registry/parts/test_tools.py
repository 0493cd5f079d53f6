"""The programs that other tests drive are there, each of the version that it was made from."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.parts import cache, docker_modern
from tests.parts.go_programs import PROGRAMS
from tests.parts.tools import tool

ASKED = {
    "skopeo": "--version",
    "podman": "--version",
    "buildah": "--version",
    "ctr": "--version",
    "docker-registry": "--version",
    "crane": "version",
    "oras": "version",
    "helm": "version",
    "registry": "--version",
}


@pytest.mark.parametrize("name", ASKED)
def test_a_tool_tells_its_version(name: str) -> None:
    told = subprocess.run([tool(name), ASKED[name]], capture_output=True, text=True, timeout=60, check=True).stdout
    made_from = PROGRAMS[name].version.removeprefix("v") if name in PROGRAMS else r"\d+\.\d+\.\d+"
    assert re.search(made_from, told)


@pytest.mark.parametrize("name", ["conformance-1.1", "conformance-head"])
def test_a_conformance_suite_is_a_program(name: str) -> None:
    assert tool(name).stat().st_mode & 0o111


def test_a_tool_that_was_not_built_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIER_CACHE", str(tmp_path))
    with pytest.raises(cache.PartMissing, match=r"crane is not in .*: run scripts/test-parts"):
        tool("crane")


@pytest.mark.parametrize("containerd_store", [False, True], ids=["classic", "containerd"])
def test_a_newer_docker_runs_an_image(containerd_store: bool, saved_images: dict[str, Path]) -> None:
    with docker_modern.running(containerd_store=containerd_store) as engine:
        for side in ("Client", "Server"):
            assert engine.run("version", "--format", f"{{{{.{side}.Version}}}}").startswith("26.1.")
        engine.run("load", "--input", str(saved_images["small"]))
        assert "hello from the pier" in engine.run("run", "--rm", "--network", "none", "small:1")
    assert not engine.home.exists()
