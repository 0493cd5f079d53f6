"""Programs that verify what they pull find nothing wrong with what old engines pushed, and copy it as it is."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.parts.images import read_saved, synthetic_image
from tests.parts.registry import Running
from tests.parts.tools import tool
from tests.registry.bridge.both import VERSIONS, Both
from tests.registry.bridge.images import new_image, old_chain, tar

pytestmark = pytest.mark.usefixtures("emptied")
Run = Callable[..., str]


@pytest.fixture
def crane(door: Running, tmp_path: Path) -> Run:
    """Returns what it prints; raises AssertionError when it fails. It trusts and knows the registry."""
    login = base64.b64encode(f"admin:{door.password}".encode()).decode()
    (tmp_path / "config.json").write_text(json.dumps({"auths": {door.host: {"auth": login}}}))
    environment = os.environ | {"DOCKER_CONFIG": str(tmp_path), "SSL_CERT_FILE": str(door.ca)}

    def run(*words: str) -> str:
        return _run([str(tool("crane")), *words], environment)

    return run


def _run(command: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def skopeo_copy(tmp_path: Path) -> Iterator[Callable[[str, str], None]]:
    """Between `docker://<host>/…` of the registries that it was told of, and folders; digests have to stay."""
    trusted = tmp_path / "trusted"

    def copy(source: str, target: str, *known: Running) -> None:
        options = ["copy", "--preserve-digests"]
        for end, place in (("src", source), ("dest", target)):
            for each in known:
                if each.host in place:
                    folder = trusted / str(each.port)
                    folder.mkdir(parents=True, exist_ok=True)
                    shutil.copy(each.ca, folder / "ca.crt")
                    options += [f"--{end}-creds", f"admin:{each.password}", f"--{end}-cert-dir", str(folder)]
        _run([str(tool("skopeo")), *options, source, target], dict(os.environ))

    yield copy
    shutil.rmtree(trusted, ignore_errors=True)


@pytest.mark.parametrize("version", VERSIONS)
def test_an_image_of_an_old_engine_is_valid_by_tag_and_by_digest(both: Both, crane: Run, version: str) -> None:
    """`crane validate` inflates every layer and compares it with the config."""
    both.engine(version).push(
        both.name, {"1": synthetic_image(depth=4, seed=40 + VERSIONS.index(version), size=50_000)}
    )
    name = f"{both.running.host}/{both.name}"
    known = crane("digest", f"{name}:1").strip()
    assert known == both.new.pulled("1")
    crane("validate", "--remote", f"{name}:1")
    crane("validate", "--remote", f"{name}@{known}")
    both.new.delete("1")


@pytest.mark.parametrize("form", ["bzip2", "xz"])
def test_an_image_of_other_forms_is_valid(both: Both, crane: Run, form: str) -> None:
    both.push_old("1", *old_chain(tar("one"), tar("two"), form=form).layers)
    crane("validate", "--remote", f"{both.running.host}/{both.name}:1")
    both.new.delete("1")


def test_a_real_image_is_valid_and_runs_the_same_command(both: Both, crane: Run, saved_images: dict[str, Path]) -> None:
    (image,) = read_saved(saved_images["small"])
    both.engine().push(both.name, {"1": image})
    name = f"{both.running.host}/{both.name}:1"
    crane("validate", "--remote", name)
    told = json.loads(crane("config", name))
    assert (told["config"]["Entrypoint"], told["config"]["Cmd"]) == (["/bin/busybox"], ["cat", "/settings.txt"])
    both.new.delete("1")


def test_a_child_on_a_parent_of_v2_is_valid(both: Both, crane: Run) -> None:
    both.push_new(new_image(tar("below"), tar("above")), "1")
    parent = both.old_tags()["1"]
    child = old_chain(tar("child"), form="gzip").layers[0]
    told = json.loads(child.json) | {"parent": parent}
    both.push_old("2", type(child)(child.id, json.dumps(told).encode(), parent, child.layer))
    crane("validate", "--remote", f"{both.running.host}/{both.name}:2")
    for tag in ("1", "2"):
        both.new.delete(tag)


@pytest.mark.parametrize("door", ["on_sqlite"], indirect=True)
def test_an_image_of_v1_keeps_its_digest_on_its_way_to_another_registry_and_back(
    both: Both, on_mariadb: Running, skopeo_copy: Callable[..., None], tmp_path: Path
) -> None:
    both.engine().push(both.name, {"1": synthetic_image(depth=3, seed=51, size=20_000)})
    known, here, there = both.new.pulled("1"), both.running, on_mariadb
    tars = [layer.uncompressed_sha256 for layer in both.engine().pull(both.name, "1")["1"].layers]
    home, away = (f"docker://{each.host}/{both.name}" for each in (here, there))
    skopeo_copy(f"{home}:1", f"dir:{tmp_path}/image", here)
    skopeo_copy(f"dir:{tmp_path}/image", f"{away}:1", there)
    both.new.delete("1")
    skopeo_copy(f"{away}:1", f"{home}:2", here, there)
    assert both.new.pulled("2") == known
    assert [layer.uncompressed_sha256 for layer in both.engine().pull(both.name, "2")["2"].layers] == tars
    there.pier("delete", f"{both.name}:1")
    both.new.delete("2")
