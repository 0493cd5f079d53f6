"""Good verdicts are remembered for a minute; equal logins share one bcrypt."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from pier_registry.web.verdicts import Flights, Verdicts
from tests.registry.access.door import AWAY, HOME, Clock, Door, line, together


def test_a_good_password_is_asked_once_in_a_minute(door: Door) -> None:
    assert [door.open("alice", "wonderland") for _ in range(50)] == [200] * 50
    door.clock.now += 59
    assert (door.open("alice", "wonderland"), door.asked) == (200, ["alice"])


def test_a_verdict_ends_after_a_minute_however_often_it_was_used(door: Door) -> None:
    for _ in range(4):
        assert door.open("alice", "wonderland") == 200
        door.clock.now += 20
    assert door.asked == ["alice", "alice"]


def test_wrong_passwords_are_not_remembered(door: Door) -> None:
    assert [door.open("alice", "wrong") for _ in range(3)] == [401] * 3
    assert door.asked == ["alice"] * 3


def test_one_password_is_remembered_for_all_addresses(door: Door) -> None:
    assert (door.open("alice", "wonderland", HOME), door.open("alice", "wonderland", AWAY)) == (200, 200)
    assert door.asked == ["alice"]


def test_a_remembered_verdict_helps_no_other_password(door: Door) -> None:
    assert door.open("alice", "wonderland") == 200
    assert (door.open("alice", "wonderlan"), door.open("alicew", "onderland"), door.open("bob", "wonderland")) == (
        401,
        401,
        401,
    )


def test_no_more_verdicts_are_kept_than_allowed_and_the_used_ones_stay(tmp_path: Path) -> None:
    path = tmp_path / "users"
    path.write_text("".join(line(f"u{number}", "p") for number in range(5)))
    door = Door(path, most=3)
    for number in range(5):
        assert (door.open("u0", "p"), door.open(f"u{number}", "p")) == (200, 200)
    assert len(door.verdicts) == 3
    assert door.asked.count("u0") == 1


def test_a_new_version_of_the_users_file_forgets_all() -> None:
    verdicts = Verdicts(clock=Clock())
    verdicts.remember(verdicts.key("one", "alice", "p"))
    assert verdicts.holds(verdicts.key("one", "alice", "p"))
    assert not verdicts.holds(verdicts.key("two", "alice", "p"))
    assert len(verdicts) == 0


def test_keys_of_two_processes_differ() -> None:
    assert Verdicts().key("v", "alice", "p") != Verdicts().key("v", "alice", "p")


def test_equal_logins_at_once_cost_one_bcrypt(tmp_path: Path) -> None:
    path = tmp_path / "users"
    path.write_text(line("alice", "wonderland", cost=11))
    door = Door(path)
    assert together(20, lambda number: door.open("alice", "wonderland", f"192.0.2.{number}")) == [200] * 20
    assert door.asked == ["alice"]


def test_equal_wrong_logins_at_once_share_the_no(tmp_path: Path) -> None:
    path = tmp_path / "users"
    path.write_text(line("alice", "wonderland", cost=12))
    door = Door(path)
    assert together(20, lambda _: door.open("alice", "wrong")) == [401] * 20
    assert door.asked == ["alice"]


def test_different_logins_at_once_do_not_share(tmp_path: Path) -> None:
    path = tmp_path / "users"
    path.write_text(line("alice", "wonderland", cost=8))
    door = Door(path)
    assert together(6, lambda number: door.open("alice", ["wonderland", "wrong"][number % 2])) == [200, 401] * 3
    assert 2 <= len(door.asked) <= 6


def test_work_that_fails_fails_its_own_caller_and_the_next_one_does_it() -> None:
    flights, started, go = Flights(), threading.Event(), threading.Event()

    def fail() -> bool:
        started.set()
        assert go.wait(10)
        raise OSError("lost")

    def lead(_: int) -> int:
        with pytest.raises(OSError, match="lost"):
            flights.share(b"key", fail)
        return 1

    def follow(_: int) -> int:
        assert started.wait(10)
        threading.Timer(0.05, go.set).start()
        return flights.share(b"key", lambda: True)

    assert together(2, lambda number: (lead, follow)[number](number)) == [1, True]
