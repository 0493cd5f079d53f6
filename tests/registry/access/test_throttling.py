"""Guessing is slow, and does not slow down those who know."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import pytest

from pier_registry import errors
from pier_registry.web.throttle import Throttle
from tests.registry.access.door import AWAY, HOME, Clock, Door, basic, line, together


@pytest.fixture
def strict(users_file: Path) -> Door:
    """Three wrong passwords in a minute."""
    return Door(users_file, limit=3)


def guess(door: Door, times: int, user: str = "alice", client: str = AWAY) -> list[int]:
    return [door.open(user, f"guess {number}", client) for number in range(times)]


def test_after_the_limit_guesses_are_429_and_never_reach_bcrypt(strict: Door) -> None:
    assert guess(strict, 5) == [401, 401, 401, 429, 429]
    assert len(strict.asked) == 3


def test_the_answer_tells_when_to_come_back(strict: Door) -> None:
    guess(strict, 3)
    strict.clock.now += 19.5
    with pytest.raises(errors.TooManyRequests) as refused:
        strict.authenticator.authenticate(basic("alice", "wrong"), AWAY)
    assert refused.value.headers() == {"Retry-After": "41"}
    strict.clock.now += 41
    assert strict.open("alice", "wonderland", AWAY) == 200


def test_even_the_right_password_must_wait(strict: Door) -> None:
    guess(strict, 3)
    assert strict.open("alice", "wonderland", AWAY) == 429


def test_a_throttled_address_cannot_try_its_guesses_on_what_others_made_remembered(strict: Door) -> None:
    assert strict.open("alice", "wonderland", HOME) == 200
    guess(strict, 3)
    assert strict.open("alice", "wonderland", AWAY) == 429


def test_a_remembered_login_goes_on_beside_an_attacker_at_the_same_address(strict: Door) -> None:
    assert strict.open("alice", "wonderland", HOME) == 200
    assert guess(strict, 5, client=HOME)[-1] == 429
    assert strict.open("alice", "wonderland", HOME) == 200


def test_other_users_at_the_address_and_the_user_elsewhere_are_not_held_up(strict: Door) -> None:
    guess(strict, 4)
    assert (strict.open("bob", "builder", AWAY), strict.open("alice", "wonderland", HOME)) == (200, 200)


def test_an_address_that_tries_many_names_is_held_up_for_all_of_them(strict: Door) -> None:
    assert [strict.open(f"user{number}", "guess", AWAY) for number in range(31)] == [401] * 30 + [429]
    assert (strict.open("bob", "builder", AWAY), strict.open("bob", "builder", HOME)) == (429, 200)


def test_all_addresses_of_one_ipv6_network_count_as_one(strict: Door) -> None:
    answers = [strict.open("alice", f"guess {number}", f"2001:db8::{number:x}") for number in range(4)]
    assert answers == [401, 401, 401, 429]
    assert strict.open("alice", "wonderland", "2001:db8:0:1::1") == 200


def test_good_logins_are_not_counted(strict: Door) -> None:
    for _ in range(10):
        assert strict.open("alice", "wonderland", HOME) == 200
        strict.clock.now += 61
    assert len(strict.throttle) == 0


def test_refused_attempts_do_not_prolong_the_wait(strict: Door) -> None:
    guess(strict, 3)
    for _ in range(61):
        strict.clock.now += 1
        last = strict.open("alice", "wonderland", AWAY)
    assert last == 200


def test_guesses_sent_together_do_not_slip_through_together(tmp_path: Path) -> None:
    path = tmp_path / "users"
    path.write_text(line("alice", "wonderland", cost=8))
    door = Door(path, limit=3)
    answers = together(20, lambda number: door.open("alice", f"guess {number}"))
    assert (answers.count(401), answers.count(429), len(door.asked)) == (3, 17, 3)


def test_an_attempt_counts_from_its_start_until_it_is_forgiven() -> None:
    throttle = Throttle(2, clock=Clock())
    first = throttle.charge(HOME, "alice")
    throttle.charge(HOME, "alice")
    with pytest.raises(errors.TooManyRequests):
        throttle.charge(HOME, "alice")
    throttle.forgive(first)
    throttle.charge(HOME, "alice")


def test_equal_good_logins_sent_together_are_never_held_up(tmp_path: Path) -> None:
    path = tmp_path / "users"
    path.write_text(line("alice", "wonderland", cost=8))
    door = Door(path, limit=3)
    assert together(20, lambda _: door.open("alice", "wonderland")) == [200] * 20


def test_memory_is_bounded_however_many_names_and_addresses_come() -> None:
    throttle = Throttle(3, most=100, clock=Clock())
    for number in range(1000):
        throttle.charge(f"10.0.{number // 256}.{number % 256}", f"user{number}" * 100)
    assert len(throttle) == 100


def test_a_thousand_guesses_do_not_slow_down_a_remembered_user(tmp_path: Path) -> None:
    path = tmp_path / "users"
    path.write_text(line("alice", "wonderland", cost=8))
    door = Door(path, limit=10)
    assert door.open("alice", "wonderland", HOME) == 200
    taken: list[float] = []

    def good() -> int:
        for _ in range(1000):
            start = time.perf_counter()
            assert door.open("alice", "wonderland", HOME) == 200
            taken.append(time.perf_counter() - start)
        return 1

    def attack() -> int:
        return guess(door, 1000).count(429)

    assert together(2, lambda number: (good, attack)[number]()) == [1, 990]
    assert len(door.asked) == 11
    assert statistics.median(taken) < 0.01
