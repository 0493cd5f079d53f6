"""`pier fsck`: clean, dirty, mended."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.clients.v1_model import Layer
from tests.parts.registry import Running, configured
from tests.registry.protocol.doors import opened
from tests.registry.protocol.pushing import AGENT, blob, config_size, digest, push, pushed

DAYS_AGO = time.time() - 7 * 86_400


@dataclass(frozen=True, slots=True)
class Filled:
    """A data folder with one image in check/app:1; `size` of all that is stored, in bytes."""

    folder: Path
    layer: Layer
    size: int


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Filled:
    """To be copied and broken."""
    folder = tmp_path_factory.mktemp("filled")
    with opened(folder, "direct") as running:
        client = running.client(headers={"User-Agent": AGENT})
        layer = pushed(client, "check/app", "1", size=9000)[0]
        return Filled(folder, layer, len(blob(layer)) + config_size(client, "check/app", "1"))


@pytest.fixture
def broken(filled: Filled, tmp_path: Path) -> tuple[Running, Layer]:
    """Not serving; the commands do not need that."""
    shutil.copytree(filled.folder / "data", tmp_path / "data", ignore=shutil.ignore_patterns("run"))
    return configured(tmp_path / "data"), filled.layer


def fsck(running: Running, *words: str) -> tuple[int, Any]:
    done = running.pier("fsck", *words, "--output", "json", check=False)
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout)


def kinds(report: Any) -> list[str]:
    return [finding["kind"] for finding in report["findings"]]


def file_of(running: Running, layer: Layer) -> Path:
    return next((running.data / "layers").rglob(f"{digest(layer).removeprefix('sha256:')}.*"))


def test_what_agrees_is_clean(broken: tuple[Running, Layer]) -> None:
    running, _ = broken
    code, report = fsck(running, "--digests")
    assert (code, report["clean"], report["layers"], report["files"], report["findings"]) == (0, True, 2, 2, [])
    assert running.pier("fsck").stdout == "2 layers, 2 files, freed 0 B: clean\n"


def test_a_missing_file_is_found_mended_as_lost_and_healed_by_a_push(broken: tuple[Running, Layer]) -> None:
    running, layer = broken
    file_of(running, layer).unlink()
    code, report = fsck(running)
    assert (code, kinds(report), report["clean"]) == (1, ["lost"], False)
    table = running.pier("fsck", check=False)
    assert (table.returncode, table.stdout.rstrip().endswith("not clean: run pier fsck --repair")) == (1, True)
    assert fsck(running, "--repair")[0] == 0
    assert fsck(running)[0] == 0
    with opened(running.data.parent, "direct") as serving:
        client = serving.client(headers={"User-Agent": AGENT})
        push(client, "check/app", "1", layer)
        assert client.get(f"/v1/images/{layer.id}/layer").content == blob(layer)


def test_changed_bytes_are_found_by_their_digest_only(broken: tuple[Running, Layer]) -> None:
    running, layer = broken
    file_of(running, layer).write_bytes(bytes(len(blob(layer))))
    assert fsck(running)[0] == 0
    code, report = fsck(running, "--digests")
    assert (code, kinds(report)) == (1, ["lost"])


def test_a_file_cut_short_is_found(broken: tuple[Running, Layer]) -> None:
    running, layer = broken
    os.truncate(file_of(running, layer), 10)
    assert kinds(fsck(running)[1]) == ["lost"]


def test_a_stray_file_is_found_and_removed_once_it_is_old(broken: tuple[Running, Layer]) -> None:
    running, layer = broken
    stray = running.data / "layers" / "sha256" / "[b]:heart:"
    stray.write_bytes(bytes(5000))
    assert fsck(running)[0] == 0
    os.utime(stray, (DAYS_AGO, DAYS_AGO))
    code, report = fsck(running)
    assert (code, kinds(report)) == (1, ["stray"])
    assert "[b]:heart:" in running.pier("fsck", check=False).stdout
    code, report = fsck(running, "--repair")
    assert (code, report["freed_bytes"], stray.exists()) == (0, 5000, False)
    assert file_of(running, layer).exists()


def test_a_wrong_count_is_found_and_set_right(broken: tuple[Running, Layer], filled: Filled) -> None:
    running, _ = broken
    with sqlite3.connect(running.data / "pier.sqlite3") as database:
        database.execute("UPDATE image SET cnt = 7")
    database.close()
    code, report = fsck(running)
    assert (code, kinds(report)) == (1, ["miscount"])
    assert fsck(running, "--repair")[0] == 0
    assert fsck(running)[0] == 0
    receipt = json.loads(running.pier("delete", "check/app:1", "--output", "json").stdout)
    assert receipt["freed_bytes"] == filled.size


def test_a_check_changes_nothing(broken: tuple[Running, Layer]) -> None:
    running, layer = broken
    file_of(running, layer).unlink()
    assert fsck(running)[1] == fsck(running)[1]
