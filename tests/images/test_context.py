"""What a build can see of the tree: what it copies, and nothing that could slip into an image."""

from __future__ import annotations

import re
import tarfile
from pathlib import Path
from typing import Final

import pytest

from tests.house.pages import ROOT
from tests.images import built
from tests.parts.docker_engine import DockerEngine

_ALL: Final = "FROM scratch\nCOPY . /\n"


@pytest.mark.parametrize("kind", ["registry", "operator"])
def test_the_base_is_a_plain_debian(kind: str) -> None:
    text = (ROOT / f"Dockerfile.{kind}").read_text()
    assert set(re.findall(r"^FROM (\S+:\S+)", text, re.MULTILINE)) == {built.BASE}


@pytest.mark.parametrize("kind", ["registry", "operator"])
def test_nothing_of_the_machine_that_builds_is_in_the_recipe(kind: str) -> None:
    text = (ROOT / f"Dockerfile.{kind}").read_text()
    assert re.findall(r"(?i)proxy=|\bARG\b|(?<!ca-)certificat|index-url|trusted-host", text) == []


def test_builds_see_the_packages_and_their_requirements_alone(engine: DockerEngine, tmp_path: Path) -> None:
    """Secrets lie in data folders, which may well be in the tree."""
    (tmp_path / "Dockerfile").write_text(_ALL)
    engine.run("build", "--tag", "context", "--file", str(tmp_path / "Dockerfile"), str(ROOT))
    engine.run("create", "--name", "context", "context", "none")
    engine.run("export", "--output", str(tmp_path / "context.tar"), "context")
    engine.run("rm", "context")
    engine.run("rmi", "context")
    with tarfile.open(tmp_path / "context.tar") as tar:
        seen = {member.name for member in tar if member.isfile()}
    copied = {path for kind in ("registry", "operator") for path in built.inputs(kind)}
    wanted = {path.relative_to(ROOT).as_posix() for path in copied if path.parent != ROOT}
    others = {f"requirements/{path.name}" for path in (ROOT / "requirements").glob("*.txt")}
    made_by_engine = {name for name in seen if name.partition("/")[0] in {"dev", "etc", ".dockerenv"}}
    assert seen - made_by_engine == wanted | others
