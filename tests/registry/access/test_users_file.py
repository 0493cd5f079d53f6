"""Which lines of the users file count, and how it is written."""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path

import bcrypt
import pytest

from pier_registry import errors
from pier_registry.web import bootstrap, users
from pier_registry.web.users import Users
from tests.registry.access.door import Door, line

HASH = bcrypt.hashpw(b"secret", b"$2b$04$" + b"harbour" * 3 + b"e")  # ids of tests hold it: no random salt


@pytest.mark.parametrize("prefix", ["$2y$", "$2b$", "$2a$"])
def test_each_spelling_of_bcrypt_counts(tmp_path: Path, prefix: str) -> None:
    path = tmp_path / "users"
    path.write_text(f"alice:{prefix}{HASH.decode()[4:]}\n")
    assert Door(path).open("alice", "secret") == 200


@pytest.mark.parametrize(
    "stored",
    [
        "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=",
        "$apr1$lZL6V/ci$eIMz/iKDkbtys/uU7LEK00",
        "rqXexS6ZhobKA",
        "$6$salt$hash",
        "secret",
        "",
        "$2x" + HASH.decode()[3:],
        "$2b$31" + HASH.decode()[6:],
        "$2b$03" + HASH.decode()[6:],
        HASH.decode()[:-1],
        HASH.decode() + "x",
        HASH.decode() + ":more",
    ],
)
def test_a_line_that_is_not_usable_bcrypt_is_refused_with_a_warning(
    tmp_path: Path, stored: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "users"
    path.write_text(f"# ours\nbob:{stored}\n" + line("alice", "secret"))
    with caplog.at_level(logging.WARNING, "pier.access"):
        door = Door(path)
    (sentence,) = door.users.refused
    assert sentence.startswith("line 2, user 'bob': not a usable bcrypt hash")
    assert not stored or stored not in sentence
    assert "line of the users file refused" in caplog.messages
    assert (door.open("bob", "secret"), door.open("bob", stored), door.open("alice", "secret")) == (401, 401, 200)


@pytest.mark.parametrize("text", ["nobody", ":" + HASH.decode(), "a b:" + HASH.decode(), "é:" + HASH.decode(), "\0"])
def test_a_line_without_a_user_name_is_refused_and_the_rest_works(tmp_path: Path, text: str) -> None:
    path = tmp_path / "users"
    path.write_text(f"{text}\n" + line("alice", "secret"))
    door = Door(path)
    assert "line 1" in door.users.refused[0]
    assert door.open("alice", "secret") == 200


def test_the_first_of_two_lines_for_a_user_counts(tmp_path: Path) -> None:
    path = tmp_path / "users"
    path.write_text(line("alice", "first") + line("alice", "second"))
    door = Door(path)
    assert (door.open("alice", "first"), door.open("alice", "second")) == (200, 401)
    assert door.users.refused == ("line 2, user 'alice': an earlier line names this user and counts",)


def test_comments_blank_lines_a_byte_order_mark_and_line_ends_of_windows_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "users"
    path.write_bytes(b"\xef\xbb\xbfalice:" + HASH + b"\r\n\r\n  # bob:x\r\n\r\n")
    door = Door(path)
    assert (door.open("alice", "secret"), door.users.refused) == (200, ())


def test_a_snapshot_does_not_show_hashes(users_file: Path) -> None:
    assert "$2b$" not in repr(Users(users_file).current())


def test_the_version_of_a_snapshot_follows_the_bytes(users_file: Path) -> None:
    known = Users(users_file)
    before = known.current().version
    os.utime(users_file)
    assert known.current().version == before
    users_file.write_text("")
    assert known.current().version != before


def test_an_added_user_can_log_in_and_the_rest_of_the_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "users"
    path.write_text("# ours\nold:{SHA}x\n")
    users.add(path, "alice", HASH)
    assert path.read_text() == f"# ours\nold:{{SHA}}x\nalice:{HASH.decode()}\n"
    assert Door(path).open("alice", "secret") == 200


def test_a_new_users_file_is_for_its_owner_only(tmp_path: Path) -> None:
    users.add(tmp_path / "users", "alice", HASH)
    assert stat.S_IMODE((tmp_path / "users").stat().st_mode) == 0o600


def test_a_file_keeps_its_mode(users_file: Path) -> None:
    users_file.chmod(0o640)
    users.add(users_file, "carol", HASH)
    assert stat.S_IMODE(users_file.stat().st_mode) == 0o640


def test_a_link_stays_a_link(users_file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(users_file)
    users.add(link, "carol", HASH)
    assert link.is_symlink()
    assert "carol:" in users_file.read_text()


def test_writing_leaves_no_temporary_file(users_file: Path) -> None:
    users.add(users_file, "carol", HASH)
    assert sorted(os.listdir(users_file.parent)) == ["users.htpasswd", "users.htpasswd.lock"]


def test_a_taken_name_is_not_added(users_file: Path) -> None:
    before = users_file.read_bytes()
    with pytest.raises(errors.Conflict, match="pier users passwd alice"):
        users.add(users_file, "alice", HASH)
    assert users_file.read_bytes() == before


def test_a_new_password_takes_the_place_of_every_old_line(tmp_path: Path) -> None:
    path = tmp_path / "users"
    path.write_text("alice:{SHA}x\n" + line("bob", "builder") + line("alice", "old"))
    users.set_password(path, "alice", HASH)
    assert [each.partition(":")[0] for each in path.read_text().splitlines()] == ["alice", "bob"]
    door = Door(path)
    assert (door.open("alice", "secret"), door.open("alice", "old"), door.open("bob", "builder")) == (200, 401, 200)


def test_a_removed_user_leaves_no_line(tmp_path: Path) -> None:
    path = tmp_path / "users"
    path.write_text("alice:{SHA}x\n# alice:\n" + line("alice", "old"))
    users.remove(path, "alice")
    assert path.read_text() == "# alice:\n"


@pytest.mark.parametrize("change", ["set_password", "remove"])
def test_an_unknown_user_is_neither_changed_nor_removed(users_file: Path, change: str) -> None:
    with pytest.raises(errors.Unknown, match="no user carol"):
        users.remove(users_file, "carol") if change == "remove" else users.set_password(users_file, "carol", HASH)


def test_a_folder_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(errors.Misconfigured, match="No such file or directory"):
        users.add(tmp_path / "none" / "users", "alice", HASH)


@pytest.mark.parametrize("name", ["a", "Alice_2", "x@example.org", "a.b-c+d", "9", "a" * 64])
def test_plain_names_are_user_names(name: str) -> None:
    assert users.check_name(name) == name


@pytest.mark.parametrize("name", ["", "a:b", "a b", "-a", "#a", "é", "a\n", "a" * 65, "../x", "a\0"])
def test_other_names_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(errors.Invalid, match="cannot be a user name"):
        users.add(tmp_path / "users", name, HASH)


@pytest.mark.parametrize("password", ["", "a\0b", "x" * 73, "é" * 37, "\udcff"])
def test_a_password_that_bcrypt_cannot_tell_apart_is_not_set(password: str) -> None:
    with pytest.raises(errors.Invalid, match="the password"):
        users.hash_password(password, 4)


def test_a_file_that_lets_nobody_in_stops_the_start(tmp_path: Path) -> None:
    path = tmp_path / "users"
    path.write_text("bob:{SHA}x\n")
    with pytest.raises(errors.Misconfigured, match=r"pier users add NAME.*line 1, user 'bob'"):
        bootstrap.someone_can_log_in(Users(path))


def test_a_missing_file_stops_the_start_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(errors.Misconfigured, match=r"cannot be read: No such file.*pier users add NAME"):
        bootstrap.someone_can_log_in(Users(tmp_path / "users"))


def test_one_usable_line_is_enough_to_start(tmp_path: Path) -> None:
    path = tmp_path / "users"
    path.write_text("bob:{SHA}x\n" + line("alice", "secret"))
    bootstrap.someone_can_log_in(Users(path))
    assert list(Users(path).current().hashes) == ["alice"]
