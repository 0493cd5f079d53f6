"""The documents' shell lines, run for real; and `make run` as a user starts it.

Blocks in `sh` run from top to bottom in one shell, in a folder that looks like a checkout with its registry running
and two tags of one base in `library/app`. Blocks in `console` need an old engine or a package manager.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.clients.v1 import DockerV1
from tests.clients.v1_model import Image, Layer
from tests.house.pages import page, pages
from tests.parts.registry import Running, registry
from tests.parts.synthetic import synthetic_layers

_RUNNABLE: Final = {one.name for one in pages() if one.blocks("sh")}
_LOOKED_AT: Final = {"README.md", "docs/operate.md"}  # run by tests that also look at what they print


@pytest.fixture
def checkout() -> Iterator[Running]:
    """A registry of the test's own, for pages that delete."""
    with _checkout() as running:
        yield running


@pytest.fixture(scope="module")
def untouched() -> Iterator[Running]:
    """Shared by tests that only look."""
    with _checkout() as running:
        yield running


@contextmanager
def _checkout() -> Iterator[Running]:
    """Its folder's path is short, since a socket lies below it."""
    folder = Path(tempfile.mkdtemp(prefix="pier-"))
    try:
        _install_command(folder)
        with registry(folder / ".pier", admin_password="") as running:
            running.password = (running.data / "admin-password").read_text().strip()
            _push_two_on_one_base(running)
            yield running
    finally:
        shutil.rmtree(folder)


def _install_command(folder: Path) -> None:
    command = folder / ".venv" / "bin" / "pier"
    command.parent.mkdir(parents=True)
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m pier_registry "$@"\n')
    command.chmod(0o755)


def _push_two_on_one_base(running: Running) -> None:
    base = [Layer(*layer) for layer in synthetic_layers(1, 1, 4000, None)]
    tops = [[Layer(*layer) for layer in synthetic_layers(1, seed, 4000, base[0].id)] for seed in (2, 3)]
    docker = DockerV1(running.host, ca=running.ca, user="admin", password=running.password)
    docker.push("library/app", {str(tag): Image((*base, *top)) for tag, top in enumerate(tops, start=1)})


def _run(name: str, running: Running) -> str:
    lines = "\n".join(page(name).blocks("sh"))
    lines = lines.replace("localhost:5443", running.host).replace("127.0.0.1:9090", f"127.0.0.1:{running.health_port}")
    done = subprocess.run(
        ["sh", "-euc", lines],
        cwd=running.data.parent,
        env=running.environment | {"COLUMNS": "120"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"{name}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_there_are_pages_to_run() -> None:
    assert {"docs/install.md", "docs/use.md", "docs/api.md", "docs/v2.md"} | _LOOKED_AT <= _RUNNABLE


@pytest.mark.parametrize("name", sorted(_RUNNABLE - _LOOKED_AT))
def test_every_shell_line_of_a_page_works(checkout: Running, name: str) -> None:
    _run(name, checkout)
    assert checkout.pier("fsck").returncode == 0


def test_the_readme_frees_what_its_preview_foretold(checkout: Running) -> None:
    told = _run("README.md", checkout)
    foretold = re.search(r'"freed_bytes": (\d+)', told)
    freed = re.search(r"^pier-freed-bytes: (\d+)", told, re.MULTILINE)
    assert foretold
    assert freed
    assert int(foretold[1]) == int(freed[1]) > 0
    assert "kept by app:2" in told


def test_the_backup_in_the_manual_can_be_restored(checkout: Running) -> None:
    told = _run("docs/operate.md", checkout)
    restored = told[told.rindex("clean") :]
    assert {"app:1", "app:2"} <= set(restored.split())


def test_a_layer_lies_where_the_manual_says(untouched: Running) -> None:
    text = page("docs/layout.md").text
    example = re.search(r"^layers/sha256/\S+$", text, re.MULTILINE)
    assert example
    form = re.compile(r"layers/sha256/([0-9a-f]{2})/\1[0-9a-f]{62}\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
    stored = [path.relative_to(untouched.data).as_posix() for path in untouched.data.glob("layers/*/*/*")]
    assert len(stored) == 5  # of two images on one base: three layers, and two configs for v2
    assert all(form.fullmatch(path) for path in (*stored, example[0]))


def test_a_file_of_the_data_folder_has_the_mode_in_the_manual(untouched: Running) -> None:
    told = [row for row in page("docs/layout.md").rows() if re.fullmatch(r"0\d{3}", row[1])]
    modes = {path: int(mode, 8) & ~_umask() for paths, mode, _ in told for path in re.findall(r"`([^`]+)`", paths)}
    there = {path: mode for path, mode in modes.items() if (untouched.data / path).exists()}
    assert len(there) > 10
    assert {path: (untouched.data / path).stat().st_mode & 0o777 for path in there} == there


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def test_nothing_lies_in_the_data_folder_that_the_manual_does_not_name(untouched: Running) -> None:
    named = {cell for row in page("docs/layout.md").rows() for cell in re.findall(r"`([^`]+)`", row[0])}
    known = {name.strip("/").partition("/")[0] for name in named} | {"pier.sqlite3-wal", "pier.sqlite3-shm"}
    assert {path.name for path in untouched.data.iterdir()} <= known
