"""What the commands refuse: one sentence, an exit code, no traceback, and nothing done."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from pier_registry.cli import pier
from pier_registry.errors import Misconfigured
from tests.parts.registry import Running, configured
from tests.registry.protocol.pushing import pushed

STRANGER = 65534


def sentence(done: subprocess.CompletedProcess[str]) -> str:
    """The one line of a refusal."""
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stdout == ""
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("pier: ")
    return lines[0]


def changed(served: Running, **settings: str) -> Running:
    environment = served.environment | {f"PIER_{name.upper()}": value for name, value in settings.items()}
    return Running(served.data, served.port, served.health_port, served.password, environment)


@pytest.mark.parametrize(
    ("setting", "value"),
    [("port", "70000"), ("database_url", "postgres://x"), ("nonsense", "1")],
)  # fmt: skip
def test_a_broken_setting_is_named_with_what_it_takes(served: Running, setting: str, value: str) -> None:
    said = sentence(changed(served, **{setting: value}).pier("usage", check=False))
    assert f"PIER_{setting.upper()}" in said


def test_a_broken_settings_file_is_named(served: Running, tmp_path: Path) -> None:
    file = tmp_path / "pier.yaml"
    file.write_text("port")
    assert f"{file} must hold keys and values" in sentence(changed(served, config=str(file)).pier("usage", check=False))
    file.write_text("port: [1")
    done = changed(served, config=str(file)).pier("usage", check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"pier: PIER_CONFIG names {file}")


def test_a_broken_settings_file_that_is_missing_is_named(served: Running, tmp_path: Path) -> None:
    assert "PIER_CONFIG" in sentence(changed(served, config=str(tmp_path / "no")).pier("usage", check=False))


@pytest.mark.parametrize("verb", ["usage", "migrate"])
def test_a_data_folder_that_is_not_there_is_refused(served: Running, tmp_path: Path, verb: str) -> None:
    said = sentence(changed(served, data=str(tmp_path / "no")).pier(verb, check=False))
    assert "PIER_DATA" in said
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize(
    "url", ["mysql+pymysql://pier:topsecret@127.0.0.1:1/pier", "sqlite:////no/such/folder/pier.sqlite3"]
)
def test_a_database_that_does_not_answer_is_a_sentence_without_its_password(served: Running, url: str) -> None:
    for verb in ("usage", "migrate"):
        assert "topsecret" not in sentence(changed(served, database_url=url).pier(verb, check=False))


def test_a_database_that_was_not_migrated_is_refused_with_the_way_out(served: Running, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/empty.sqlite3"
    assert "pier migrate" in sentence(changed(served, database_url=url).pier("usage", check=False))


@pytest.fixture
def of_another() -> Iterator[Path]:
    """A data folder of the user nobody, which every user can look into."""
    folder = Path("/tmp") / f"pier-of-another-{os.getpid()}"  # pytest's own folders are closed to others
    folder.mkdir(mode=0o755)
    os.chown(folder, STRANGER, STRANGER)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize("verb", [["usage"], ["fsck", "--repair"], ["delete", "a:1"], ["migrate"], ["users", "list"]])
def test_the_folder_of_another_user_is_refused_and_left_alone(
    served: Running, of_another: Path, verb: list[str]
) -> None:
    said = sentence(changed(served, data=str(of_another)).pier(*verb, check=False))
    assert str(STRANGER) in said
    assert list(of_another.iterdir()) == []


def test_who_does_not_own_the_folder_is_refused_too(served: Running) -> None:
    settings = {name: value for name, value in served.environment.items() if name.startswith("PIER_")}
    by_root = CliRunner().invoke(pier, ["usage"], env=settings)  # it imports what the stranger may not be able to read
    assert by_root.exit_code == 0, by_root.exception
    os.seteuid(STRANGER)
    try:
        done = CliRunner().invoke(pier, ["usage"], env=settings)
    finally:
        os.seteuid(0)
    assert isinstance(done.exception, Misconfigured)
    assert str(served.data) in done.exception.message


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["delete", "no/such"], "no such repository"),
        (["delete", "no/such:1"], "has no tag 1"),
        (["delete", "UPPER:1"], "invalid repository name"),
        (["delete", "a/b:.x"], "invalid tag name"),
        (["tags", "no/such"], "no such repository"),
    ],
    ids=str,
)
def test_what_is_not_there_or_no_name_is_a_sentence(served: Running, words: list[str], says: str) -> None:
    assert says in sentence(served.pier(*words, check=False))


def test_an_empty_tag_does_not_delete_the_whole_repository(served: Running, admin: httpx.Client, name: str) -> None:
    """As `pier delete app:$TAG` with an empty variable would."""
    top = pushed(admin, name, "1")[0]
    for words in ([f"{name}:"], [f"{name}:", "--preview"]):
        assert "names no tag" in sentence(served.pier("delete", *words, check=False))
    assert admin.get(f"/v1/repositories/{name}/tags").json() == {"1": top.id}


@pytest.mark.parametrize(
    "words", [["nonsense"], ["delete"], ["usage", "x"], ["usage", "--output", "xml"], ["fsck", "--force"]]
)
def test_wrong_usage_is_exit_code_2(words: list[str]) -> None:
    done = CliRunner().invoke(pier, words)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "Usage: " in done.stderr


def test_a_full_or_missing_folder_of_settings_is_told_by_name(tmp_path: Path) -> None:
    running = configured(tmp_path / "a-file")
    running.data.write_text("")
    assert "a-file" in sentence(running.pier("usage", check=False))
