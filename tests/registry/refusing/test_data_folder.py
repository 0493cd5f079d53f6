"""Links, folders and newer databases in the data folder: refused, never followed."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.clients.v1_model import Layer
from tests.parts.registry import PIER, Running, configured
from tests.registry.protocol.pushing import digest, pushed


def file_of(door: Running, layer: Layer) -> Path:
    return next((door.data / "layers").rglob(f"{digest(layer).removeprefix('sha256:')}.*"))


@pytest.fixture
def layer(admin: httpx.Client, name: str) -> Layer:
    return pushed(admin, name, "1")[0]


def test_a_link_in_the_place_of_a_layer_is_not_followed(door: Running, admin: httpx.Client, layer: Layer) -> None:
    secret = door.data / "users.htpasswd"
    place = file_of(door, layer)
    place.unlink()
    place.symlink_to(secret)
    answer = admin.get(f"/v1/images/{layer.id}/layer")
    assert answer.status_code in {404, 503}
    assert b"admin" not in answer.content
    assert secret.exists()


def test_a_link_in_the_place_of_a_folder_is_not_followed(door: Running, admin: httpx.Client, layer: Layer) -> None:
    folder = file_of(door, layer).parent
    away = door.data.with_name(f"away-{layer.id[:8]}")
    shutil.move(folder, away)
    folder.symlink_to(away)
    try:
        assert admin.get(f"/v1/images/{layer.id}/layer").status_code in {404, 503}
    finally:
        folder.unlink()
        shutil.move(away, folder)
    assert admin.get(f"/v1/images/{layer.id}/layer").status_code == 200


def test_a_folder_in_the_place_of_a_layer_is_no_layer(door: Running, admin: httpx.Client, layer: Layer) -> None:
    place = file_of(door, layer)
    place.unlink()
    place.mkdir()
    answer = admin.get(f"/v1/images/{layer.id}/layer")
    assert answer.status_code in {404, 503}
    assert "location" not in answer.headers
    place.rmdir()


def started(running: Running) -> subprocess.CompletedProcess[str]:
    """`pier serve` where it must refuse to start."""
    return subprocess.run(
        [*PIER, "serve", "--direct"], env=running.environment, capture_output=True, text=True, timeout=60, check=False
    )


def one_sentence(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    said = [line for line in done.stderr.splitlines() if line.startswith("pier: ")]
    assert len(said) == 1, done.stderr
    return said[0]


def test_a_database_newer_than_the_program_is_refused_with_a_sentence(tmp_path: Path) -> None:
    running = configured(tmp_path / "data")
    running.data.mkdir()
    running.pier("migrate")
    with sqlite3.connect(running.data / "pier.sqlite3") as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    database.close()
    assert "newer than this version of Pier" in one_sentence(started(running))
    for verb in ("usage", "tags", "fsck", "migrate"):
        assert "newer than this version of Pier" in one_sentence(running.pier(verb, check=False))


def test_a_database_that_is_none_is_refused_with_a_sentence(tmp_path: Path) -> None:
    running = configured(tmp_path / "data")
    running.data.mkdir()
    (running.data / "pier.sqlite3").write_bytes(b"this is no database, it is a text of more than a hundred bytes" * 20)
    one_sentence(started(running))
    one_sentence(running.pier("usage", check=False))


@pytest.mark.parametrize("area", ["layers", "uploads"])
def test_an_area_that_is_a_link_is_refused_with_a_sentence(tmp_path: Path, area: str) -> None:
    running = configured(tmp_path / "data")
    running.data.mkdir()
    (tmp_path / "elsewhere").mkdir()
    (running.data / area).symlink_to(tmp_path / "elsewhere")
    assert "symbolic link" in one_sentence(started(running))


def test_a_data_folder_that_is_a_file_is_refused_with_a_sentence(tmp_path: Path) -> None:
    running = configured(tmp_path / "data")
    running.data.write_text("")
    one_sentence(started(running))


def test_a_data_folder_that_cannot_be_written_is_refused_with_a_sentence(tmp_path: Path) -> None:
    running = configured(Path("/proc/pier"))
    assert os.fspath(running.data) in one_sentence(started(running))
