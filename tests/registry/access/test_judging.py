"""Who may do what where."""

from __future__ import annotations

import fnmatch
import itertools
import logging
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.registry.access.door import swap

from pier_registry import errors
from pier_registry.web.rights import Rights, User, Verb, rules_of_file
from pier_registry.web.rights_file import Grant, Role

VERBS: tuple[Verb, ...] = ("pull", "push", "delete", "delete-repository", "admin")
ALICE, BOB, ADMIN = User("alice"), User("bob"), User("admin")
ALLOWED = {"none": 0, "pull": 1, "push": 3, "admin": 5}


def judge(tmp_path: Path, text: str, default: str = "push") -> Rights:
    path = tmp_path / "rights.yaml"
    path.write_text(text)
    return Rights(path, default)


def alice(tmp_path: Path, *grants: tuple[str, str]) -> Rights:
    return judge(tmp_path, f"users: {{alice: [{', '.join(f'{{role: {r}, repositories: "{p}"}}' for r, p in grants)}]}}")


@pytest.mark.parametrize("role", ALLOWED)
def test_each_role_holds_exactly_its_verbs_on_its_pattern(tmp_path: Path, role: str) -> None:
    rights = alice(tmp_path, (role, "team/*"))
    allowed = set(VERBS[: ALLOWED[role]]) - {"admin"}
    assert {verb for verb in VERBS if rights.may(ALICE, verb, "team/app")} == allowed
    assert not any(rights.may(ALICE, verb, "other/app") or rights.everywhere(ALICE, verb) for verb in VERBS)


@pytest.mark.parametrize("role", ALLOWED)
def test_each_role_on_everything_holds_everywhere(tmp_path: Path, role: str) -> None:
    rights = alice(tmp_path, (role, "*"))
    allowed = set(VERBS[: ALLOWED[role]])
    assert {verb for verb in VERBS if rights.may(ALICE, verb, "team/app")} == allowed
    assert {verb for verb in VERBS if rights.everywhere(ALICE, verb)} == allowed
    assert {verb for verb in VERBS if rights.may(ALICE, verb)} == allowed


@pytest.mark.parametrize("role", ALLOWED)
def test_without_an_entry_the_default_role_holds_everywhere(tmp_path: Path, role: str) -> None:
    rights = judge(tmp_path, "users: {alice: []}", role)
    assert {verb for verb in VERBS if rights.everywhere(BOB, verb)} == set(VERBS[: ALLOWED[role]])


def test_an_empty_entry_allows_nothing(tmp_path: Path) -> None:
    rights = judge(tmp_path, "users: {alice: []}", "admin")
    assert not any(rights.may(ALICE, verb, "team/app") for verb in VERBS)


def test_the_user_admin_may_everything_until_an_entry_says_otherwise(tmp_path: Path) -> None:
    assert all(judge(tmp_path, "", "none").everywhere(ADMIN, verb) for verb in VERBS)
    less = judge(tmp_path, "users: {admin: [{role: pull, repositories: '*'}]}", "admin")
    assert [less.everywhere(ADMIN, verb) for verb in VERBS] == [True, False, False, False, False]


def test_the_highest_of_all_matching_grants_counts(tmp_path: Path) -> None:
    rights = alice(tmp_path, ("pull", "*"), ("push", "team/*"), ("none", "team/app"))
    assert rights.may(ALICE, "push", "team/app")
    assert not rights.may(ALICE, "push", "other/app")


def test_admin_of_a_folder_is_no_admin_of_the_registry(tmp_path: Path) -> None:
    rights = alice(tmp_path, ("admin", "team/*"))
    assert rights.may(ALICE, "delete-repository", "team/app")
    assert not rights.may(ALICE, "admin", "team/app")


@pytest.mark.parametrize(
    ("pattern", "matched", "missed"),
    [
        ("team/*", ["team/app", "team/a/b"], ["team", "library/team", "teams/app", "x/team/app"]),
        ("team/app", ["team/app"], ["team/app2", "team/app/x", "library/team/app"]),
        ("app", ["library/app"], ["app/x", "library/app2", "other/app"]),
        ("app*", ["library/app", "library/app2", "app/x", "apps/y/z"], ["library/xapp", "other/app"]),
        ("*", ["library/app", "a/b/c"], []),
        ("**", ["library/app", "a/b/c"], []),
        ("*/app", ["team/app", "library/app", "a/b/app"], ["team/app2"]),
        ("a*b*c/x", ["abc/x", "a-b-c/x", "a/b/c/x"], ["acb/x", "abc/xx"]),
        ("team/a.b", ["team/a.b"], ["team/axb"]),
        ("*ab*ab/x", ["abab/x", "ab/ab/x"], ["ab/x", "aba/x"]),
    ],
)
def test_patterns(tmp_path: Path, pattern: str, matched: list[str], missed: list[str]) -> None:
    rights = alice(tmp_path, ("pull", pattern))
    assert [name for name in matched + missed if rights.may(ALICE, "pull", name)] == matched


def test_only_stars_mean_everywhere(tmp_path: Path) -> None:
    assert not alice(tmp_path, ("pull", "*/*")).everywhere(ALICE, "pull")
    assert alice(tmp_path, ("pull", "**")).everywhere(ALICE, "pull")


def test_a_pattern_of_many_stars_takes_no_time(tmp_path: Path) -> None:
    rights = alice(tmp_path, ("pull", "a*" * 90 + "/b"))
    start = time.perf_counter()
    assert not rights.may(ALICE, "pull", "a" * 190 + "/c")
    assert time.perf_counter() - start < 0.5


patterns = st.text("ab/*", min_size=1, max_size=8).filter(
    lambda text: not text.startswith("/") and not text.endswith("/") and "//" not in text
)
names = st.lists(st.text("ab", min_size=1, max_size=4), min_size=2, max_size=3).map("/".join)
grants = st.lists(st.tuples(st.sampled_from(sorted(ALLOWED)), patterns), max_size=4)


@given(patterns, names)
def test_a_pattern_matches_as_a_shell_would(pattern: str, name: str) -> None:
    (rule,) = rules_of_file({"alice": (Grant(Role.pull, (pattern,)),)})["alice"]
    spellings = [name, name.removeprefix("library/")] if "/" not in pattern else [name]
    expected = any(fnmatch.fnmatchcase(each, pattern) for each in spellings)
    assert bool(rule.everything or rule.pattern.fullmatch(name)) == expected


@given(grants, names, st.sampled_from(sorted(ALLOWED)))
def test_pull_is_within_push_is_within_admin(granted: list[tuple[str, str]], name: str, default: str) -> None:
    rights = Rights(Path("/nowhere/rights.yaml"), default)
    rights.content_for_test = granted  # type: ignore[attr-defined]
