"""A changed users file holds for the next request, remembered verdicts or not."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path

import pytest

from tests.registry.access.door import Door, line, swap


def settle(path: Path) -> None:
    """Wait until the file is so old that one stat is enough to know it."""
    while time.time_ns() - path.stat().st_ctime_ns < 2_100_000_000:
        time.sleep(0.1)


def test_a_user_removed_by_a_new_file_is_out_at_once(door: Door, users_file: Path) -> None:
    assert door.open("alice", "wonderland") == 200
    swap(users_file, line("bob", "builder"))
    assert (door.open("alice", "wonderland"), door.open("bob", "builder")) == (401, 200)


def test_a_user_removed_from_a_file_long_at_rest_is_out_at_once(door: Door, users_file: Path) -> None:
    settle(users_file)
    assert door.open("alice", "wonderland") == 200
    swap(users_file, line("bob", "builder"))
    assert door.open("alice", "wonderland") == 401


def test_a_new_password_counts_at_once_and_the_old_one_no_more(door: Door, users_file: Path) -> None:
    assert door.open("alice", "wonderland") == 200
    swap(users_file, line("alice", "looking-glass"))
    assert (door.open("alice", "wonderland"), door.open("alice", "looking-glass")) == (401, 200)


def test_a_truncated_file_lets_nobody_in(door: Door, users_file: Path) -> None:
    assert door.open("alice", "wonderland") == 200
    users_file.write_text("")
    assert (door.open("alice", "wonderland"), door.users.stale) == (401, False)


def test_two_writes_of_one_size_within_a_tick_are_both_seen(users_file: Path) -> None:
    first, second = line("alice", "wonderland"), line("alice", "wonderland")
    door = Door(users_file)
    users_file.write_text(first)
    one = door.users.current().version
    for _ in range(200):
        with users_file.open("r+") as file:
            file.write(second)
        assert door.users.current().version != one
        with users_file.open("r+") as file:
            file.write(first)
        assert door.users.current().version == one


def test_a_missing_file_changes_nothing_and_is_told(
    door: Door, users_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    users_file.unlink()
    with caplog.at_level(logging.WARNING, "pier.access"):
        assert (door.open("alice", "wonderland"), door.open("bob", "wrong")) == (200, 401)
    assert door.users.stale
    assert caplog.messages == ["file unusable, the last good one stays in force"]


def test_an_unreadable_file_changes_nothing(door: Door, users_file: Path) -> None:
    users_file.unlink()
    users_file.mkdir()
    assert (door.open("alice", "wonderland"), door.users.stale) == (200, True)


def test_a_file_that_comes_back_counts_again(door: Door, users_file: Path) -> None:
    users_file.unlink()
    assert door.users.stale
    users_file.write_text(line("carol", "singer"))
    assert (door.open("carol", "singer"), door.open("alice", "wonderland"), door.users.stale) == (200, 401, False)


def test_the_same_file_that_comes_back_is_no_longer_stale(door: Door, users_file: Path) -> None:
    text = users_file.read_text()
    users_file.unlink()
    assert door.users.stale
    users_file.write_text(text)
    assert (door.users.stale, door.open("alice", "wonderland")) == (False, 200)


def test_a_folder_that_was_gone_for_a_moment_leaves_nothing_stale(tmp_path: Path) -> None:
    folder, away = tmp_path / "data", tmp_path / "away"
    folder.mkdir()
    path = folder / "users"
    path.write_text(line("alice", "wonderland"))
    settle(path)
    door = Door(path)
    folder.rename(away)
    assert door.users.stale
    away.rename(folder)
    assert (door.users.stale, door.open("alice", "wonderland")) == (False, 200)


def test_a_door_without_a_file_lets_nobody_in_until_there_is_one(tmp_path: Path) -> None:
    door = Door(tmp_path / "users")
    assert (door.users.stale, door.open("alice", "wonderland")) == (True, 401)
    door.path.write_text(line("alice", "wonderland"))
    assert (door.users.stale, door.open("alice", "wonderland")) == (False, 200)


def test_a_login_that_was_in_bcrypt_during_the_change_is_not_remembered(tmp_path: Path) -> None:
    path = tmp_path / "users"
    path.write_text(line("alice", "wonderland", cost=11))
    door = Door(path)
    running = threading.Thread(target=door.open, args=("alice", "wonderland"))
    running.start()
    while not door.asked:
        time.sleep(0.001)
    swap(path, line("bob", "builder"))
    assert door.open("bob", "builder") == 200
    running.join(30)
    assert door.open("alice", "wonderland") == 401
