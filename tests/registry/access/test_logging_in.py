"""What counts as credentials, and what a no costs."""

from __future__ import annotations

import base64
import statistics
import time
from pathlib import Path

import pytest

from pier_registry.web.auth import User
from tests.registry.access.door import Door, basic, line


def raw(text: bytes) -> str:
    return "Basic " + base64.b64encode(text).decode()


def test_the_right_password_names_the_user(door: Door) -> None:
    assert door.authenticator.authenticate(basic("alice", "wonderland"), "192.0.2.1") == User("alice")


def test_a_wrong_password_is_refused(door: Door) -> None:
    assert door.open("alice", "builder") == 401


def test_an_unknown_user_is_refused(door: Door) -> None:
    assert door.open("carol", "wonderland") == 401


def test_the_scheme_may_be_written_in_any_case(door: Door) -> None:
    assert door.show(basic("alice", "wonderland").replace("Basic", "bAsIC")) == 200


@pytest.mark.parametrize("password", ["a:b", ":", "pass:", "ключ", "日本語🗝", "with space", "x" * 72, "é" * 36])
def test_a_password_may_hold_anything_up_to_72_bytes(tmp_path: Path, password: str) -> None:
    path = tmp_path / "users"
    path.write_text(line("alice", password))
    assert (Door(path).open("alice", password), Door(path).open("alice", password[:-1])) == (200, 401)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Basic",
        "Basic ",
        "Basic !!!!",
        "Basic YWxpY2U6d29uZGVybGFuZA",  # no padding
        "Basic YWxpY2U6d29uZGVybGFuZA==\u00e9",
        "Basic YWxp!Y2U6d29uZGVybGFuZA==",
        "Basic YWxpY2U6d29u ZGVybGFuZA==",
        raw(b"alice"),
        raw(b":"),
        raw(b":wonderland"),
        raw(b"alice:"),
        raw(b"\xff\xfe:wonderland"),
        raw(b"alice:\xff"),
        raw(b"alice\0:wonderland"),
        raw(b"alice:wonderland\0"),
        raw(b"alice:wonderland\n"),
        raw(b" alice:wonderland"),
        raw(b"ALICE:wonderland"),
        'Token signature=x,repository="team/app",access=write',
        "Bearer YWxpY2U6d29uZGVybGFuZA==",
        "Digest username=alice",
        "YWxpY2U6d29uZGVybGFuZA==",
    ],
)
def test_anything_but_good_basic_credentials_is_refused(door: Door, header: str | None) -> None:
    assert door.show(header) == 401


@pytest.mark.parametrize("size", [73, 1000, 7_000, 10_000, 100_000])
def test_a_password_beyond_72_bytes_is_refused_even_if_its_first_72_are_right(tmp_path: Path, size: int) -> None:
    path = tmp_path / "users"
    path.write_text(line("alice", "x" * 72))
    assert Door(path).open("alice", "x" * size) == 401


def test_a_header_beyond_10_kb_never_reaches_bcrypt(door: Door) -> None:
    assert (door.open("alice", "x" * 10_000), door.asked) == (401, [])


def seconds(door: Door, user: str, password: str) -> float:
    """Of computing: others on the machine do not count."""
    start = time.thread_time()
    assert door.open(user, password) == 401
    return time.thread_time() - start


def medians(door: Door, *guesses: tuple[str, str], rounds: int = 15) -> list[float]:
    """Seconds of each guess, taken in turns so that a busy machine touches all alike."""
    taken = [[seconds(door, *guess) for guess in guesses] for _ in range(rounds)]
    return [statistics.median(column) for column in zip(*taken, strict=True)]


def test_an_unknown_user_and_an_endless_password_cost_as_much_time_as_a_wrong_password(tmp_path: Path) -> None:
    path = tmp_path / "users"
    path.write_text(line("alice", "wonderland", cost=9))
    wrong, unknown, endless = medians(Door(path), ("alice", "wrong"), ("nobody", "wrong"), ("alice", "x" * 80))
    assert 0.75 < unknown / wrong < 1.25
    assert 0.75 < endless / wrong < 1.25


def test_a_cheap_hash_beside_a_dear_one_does_not_show_in_time(tmp_path: Path) -> None:
    path = tmp_path / "users"
    path.write_text(line("cheap", "wonderland", cost=5) + line("dear", "wonderland", cost=9))
    cheap, dear, unknown = medians(Door(path), ("cheap", "wrong"), ("dear", "wrong"), ("nobody", "wrong"))
    assert 0.75 < cheap / dear < 1.25
    assert 0.75 < unknown / dear < 1.25
