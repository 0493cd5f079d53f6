"""A new registry has one user, and says where the password lies."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from pier_registry import errors
from pier_registry.settings import Settings
from pier_registry.web import bootstrap
from tests.registry.access.door import Door, line


def ensure(data: Path, password: str = "") -> Path | None:
    return bootstrap.ensure_admin(Settings(data=data, admin_password=password), cost=4)


def login(data: Path, password: str) -> int:
    return Door(data / "users.htpasswd").open("admin", password)


def test_a_new_registry_gets_a_password_that_works(tmp_path: Path) -> None:
    place = ensure(tmp_path / "data")
    assert place == tmp_path / "data" / "admin-password"
    password = place.read_text().strip()
    assert len(password) >= 20
    assert login(tmp_path / "data", password) == 200


def test_what_a_new_registry_writes_is_for_its_owner_only(tmp_path: Path) -> None:
    os.umask(0o022)
    data = tmp_path / "data"
    ensure(data)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in [data, *data.iterdir()]}
    assert modes == {"data": 0o700, "admin-password": 0o600, "users.htpasswd": 0o600, "users.htpasswd.lock": 0o600}


def test_two_registries_get_two_passwords(tmp_path: Path) -> None:
    one, two = ensure(tmp_path / "one"), ensure(tmp_path / "two")
    assert one is not None
    assert two is not None
    assert one.read_text() != two.read_text()


def test_the_second_start_changes_nothing(tmp_path: Path) -> None:
    ensure(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert ensure(tmp_path) is None
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_users_file_that_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "users.htpasswd").write_text("")
    assert ensure(tmp_path) is None
    assert os.listdir(tmp_path) == ["users.htpasswd"]


def test_a_start_cut_short_before_the_users_file_is_made_good_by_the_next(tmp_path: Path) -> None:
    (tmp_path / "admin-password").write_text("half-way\n")
    (tmp_path / "admin-password").chmod(0o644)
    place = ensure(tmp_path)
    assert place is not None
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert login(tmp_path, place.read_text().strip()) == 200


def test_a_password_of_the_settings_is_used_and_not_written_down(tmp_path: Path) -> None:
    assert ensure(tmp_path, "chosen:pass wörd") is None
    assert login(tmp_path, "chosen:pass wörd") == 200
    assert not (tmp_path / "admin-password").exists()


def test_an_unchanged_password_of_the_settings_leaves_the_file_as_it_is(tmp_path: Path) -> None:
    ensure(tmp_path, "chosen")
    before = (tmp_path / "users.htpasswd").read_bytes()
    ensure(tmp_path, "chosen")
    assert (tmp_path / "users.htpasswd").read_bytes() == before


def test_a_changed_password_of_the_settings_rewrites_admins_line_alone(tmp_path: Path) -> None:
    bob = line("bob", "builder")
    (tmp_path / "users.htpasswd").write_text(line("admin", "old") + bob)
    ensure(tmp_path, "new")
    assert (tmp_path / "users.htpasswd").read_text().endswith(bob)
    assert (login(tmp_path, "old"), login(tmp_path, "new")) == (401, 200)


def test_a_generated_password_that_no_longer_works_does_not_lie_about(tmp_path: Path) -> None:
    ensure(tmp_path)
    ensure(tmp_path, "chosen")
    assert not (tmp_path / "admin-password").exists()


def test_a_line_of_admin_without_bcrypt_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "users.htpasswd").write_text("admin:{SHA}x\n")
    ensure(tmp_path, "chosen")
    assert login(tmp_path, "chosen") == 200
    assert "{SHA}" not in (tmp_path / "users.htpasswd").read_text()


@pytest.mark.parametrize("password", ["x" * 73, "a\0b", "\udcff"])
def test_a_password_that_cannot_be_used_stops_the_start(tmp_path: Path, password: str) -> None:
    with pytest.raises(errors.Misconfigured, match="PIER_ADMIN_PASSWORD cannot be used: the password"):
        ensure(tmp_path, password)


def test_a_data_folder_that_cannot_be_made_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(errors.Misconfigured, match=r"data folder .*file/data cannot be used: Not a directory"):
        ensure(tmp_path / "file" / "data")
