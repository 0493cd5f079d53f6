"""Who may do what where."""

from __future__ import annotations

import fnmatch
import logging
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pier_registry import errors
from pier_registry.web.rights import ANONYMOUS, Rights, User, Verb
from tests.registry.access.door import swap

VERBS: tuple[Verb, ...] = ("pull", "push", "delete", "delete-repository", "admin")
ALICE, BOB, ADMIN = User("alice"), User("bob"), User("admin")
ALLOWED = {"none": 0, "pull": 1, "push": 3, "admin": 5}


def judge(tmp_path: Path, text: str, default: str = "push") -> Rights:
    path = tmp_path / "rights.yaml"
    path.write_text(text)
    return Rights(path, default)


def alice(tmp_path: Path, *grants: tuple[str, str]) -> Rights:
    entry = ", ".join(f"{{role: {role}, repositories: '{pattern}'}}" for role, pattern in grants)
    return judge(tmp_path, f"users: {{alice: [{entry}]}}")


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


def test_strangers_pull_everything_and_do_nothing_else(tmp_path: Path) -> None:
    rights = judge(tmp_path, "users: {alice: []}", "admin")
    assert {verb for verb in VERBS if rights.may(ANONYMOUS, verb, "team/app")} == {"pull"}
    assert {verb for verb in VERBS if rights.everywhere(ANONYMOUS, verb)} == {"pull"}


@pytest.mark.parametrize("role", ALLOWED)
def test_an_entry_limits_what_strangers_pull_and_gives_no_more(tmp_path: Path, role: str) -> None:
    rights = judge(tmp_path, f"users: {{anonymous: [{{role: {role}, repositories: 'public/*'}}]}}", "admin")
    assert {verb for verb in VERBS if rights.may(ANONYMOUS, verb, "public/app")} == set(VERBS[: min(ALLOWED[role], 1)])
    assert not any(rights.may(ANONYMOUS, verb, "team/app") or rights.everywhere(ANONYMOUS, verb) for verb in VERBS)


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
    start = time.thread_time()
    assert not rights.may(ALICE, "pull", "a" * 190 + "/c")
    assert time.thread_time() - start < 0.5


patterns = st.text("ab/*", min_size=1, max_size=8).filter(
    lambda text: not text.startswith("/") and not text.endswith("/") and "//" not in text
)
names = st.lists(st.text("ab", min_size=1, max_size=4), min_size=2, max_size=3).map("/".join)
grants = st.lists(st.tuples(st.sampled_from(sorted(ALLOWED)), patterns), max_size=4)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rights")


@given(pattern=patterns, name=names)
def test_a_pattern_matches_as_a_shell_would(folder: Path, pattern: str, name: str) -> None:
    spellings = [name] if "/" in pattern else [name, name.removeprefix("library/")]
    expected = any(fnmatch.fnmatchcase(each, pattern) for each in spellings)
    assert alice(folder, ("pull", pattern)).may(ALICE, "pull", name) == expected


@given(granted=grants, name=names)
def test_pull_is_within_push_is_within_admin(folder: Path, granted: list[tuple[str, str]], name: str) -> None:
    rights = alice(folder, *granted)
    pull, push, delete, delete_repository, _ = (rights.may(ALICE, verb, name) for verb in VERBS)
    assert pull >= push == delete >= delete_repository


@given(granted=grants, name=names)
def test_who_may_everywhere_may_anywhere(folder: Path, granted: list[tuple[str, str]], name: str) -> None:
    rights = alice(folder, *granted)
    for verb in VERBS:
        assert rights.may(ALICE, verb, name) or not rights.everywhere(ALICE, verb)


@given(granted=grants, extra=grants, name=names)
def test_a_further_grant_never_takes_a_right_away(
    folder: Path, granted: list[tuple[str, str]], extra: list[tuple[str, str]], name: str
) -> None:
    before = [alice(folder, *granted).may(ALICE, verb, name) for verb in VERBS]
    after = [alice(folder, *granted, *extra).may(ALICE, verb, name) for verb in VERBS]
    assert all(now or not then for then, now in zip(before, after, strict=True))


def test_require_says_what_is_missing(tmp_path: Path) -> None:
    rights = alice(tmp_path, ("pull", "team/*"))
    rights.require(ALICE, "pull", "team/app")
    with pytest.raises(errors.Denied, match="right to push on team/app"):
        rights.require(ALICE, "push", "team/app")


def test_a_changed_file_holds_at_once(tmp_path: Path) -> None:
    rights = alice(tmp_path, ("pull", "team/*"))
    assert not rights.may(ALICE, "push", "team/app")
    swap(tmp_path / "rights.yaml", "users: {alice: [{role: push, repositories: [x/*, team/*]}]}")
    assert rights.may(ALICE, "push", "team/app")


def test_a_file_that_comes_later_holds_at_once(tmp_path: Path) -> None:
    rights = Rights(tmp_path / "rights.yaml", "push")
    assert (rights.may(ALICE, "push", "team/app"), rights.stale) == (True, False)
    swap(tmp_path / "rights.yaml", "users: {alice: []}")
    assert not rights.may(ALICE, "push", "team/app")


def test_a_file_that_goes_away_changes_nothing(tmp_path: Path) -> None:
    rights = judge(tmp_path, "users: {alice: []}", "push")
    (tmp_path / "rights.yaml").unlink()
    assert (rights.may(ALICE, "push", "team/app"), rights.stale) == (False, True)
    assert "cannot be read" in rights.trouble


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "users:\n", "users: {}\n"])
def test_a_file_without_entries_is_fine(tmp_path: Path, text: str) -> None:
    assert judge(tmp_path, text, "pull").everywhere(ALICE, "pull")


BROKEN = {
    "users: {alice: [": "is not YAML",
    "\x00": "is not YAML",
    "[": "is not YAML",
    "users: {a: []}\nusers: {b: []}": "users stands there twice",
    "users: {alice: [], alice: []}": "alice stands there twice",
    "users: {x: 2001-99-99}": "is not YAML",
    "alice: []": "exactly one key, 'users:'",
    "users: {}\ngroups: {}": "exactly one key, 'users:'",
    "- alice": "exactly one key, 'users:'",
    "users: [alice]": "user names with lists of grants",
    "users: false": "user names with lists of grants",
    "users: {1: []}": "holds 1 where a user name belongs: put it in quotes",
    "users: {no: []}": "holds False where a user name belongs: put it in quotes",
    "users: {'a:b': []}": "'a:b' cannot be a user name",
    "users: {alice: }": "a list of grants for alice",
    "users: {alice: push}": "a list of grants for alice",
    "users: {alice: [push]}": "exactly 'role' and 'repositories' in each grant of alice",
    "users: {alice: [{role: push}]}": "exactly 'role' and 'repositories' in each grant of alice",
    "users: {alice: [{role: push, repositories: x, not: y}]}": "exactly 'role' and 'repositories' in each grant",
    "users: {alice: [{role: owner, repositories: x}]}": "names the role 'owner': use none, pull, push or admin",
    "users: {alice: [{role: , repositories: x}]}": "names the role 'None'",
    "users: {alice: [{role: push, repositories: }]}": "text, or a list of texts",
    "users: {alice: [{role: push, repositories: [1]}]}": "text, or a list of texts",
    "users: {alice: [{role: push, repositories: Team/*}]}": "the pattern 'Team/*', which no repository can match",
    "users: {alice: [{role: push, repositories: /team}]}": "the pattern '/team'",
    "users: {alice: [{role: push, repositories: team/}]}": "the pattern 'team/'",
    "users: {alice: [{role: push, repositories: 'team/?'}]}": "the pattern 'team/?'",
    "users: {alice: [{role: push, repositories: ''}]}": "the pattern ''",
}


@pytest.mark.parametrize("text", BROKEN)
def test_a_broken_file_stops_the_start_and_says_what_is_wrong(tmp_path: Path, text: str) -> None:
    with pytest.raises(errors.Misconfigured) as refused:
        judge(tmp_path, text)
    assert str(tmp_path / "rights.yaml") in refused.value.message
    assert BROKEN[text] in refused.value.message


@pytest.mark.parametrize("text", BROKEN)
def test_a_file_that_breaks_later_changes_nothing(tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture) -> None:
    rights = alice(tmp_path, ("push", "team/*"))
    swap(tmp_path / "rights.yaml", text)
    with caplog.at_level(logging.WARNING, "pier.access"):
        assert (rights.may(ALICE, "push", "team/app"), rights.may(ALICE, "push", "other/app")) == (True, False)
    assert (rights.stale, caplog.messages) == (True, ["file unusable, the last good one stays in force"])
    assert BROKEN[text] in rights.trouble


def test_a_mended_file_holds_again(tmp_path: Path) -> None:
    rights = alice(tmp_path, ("push", "team/*"))
    swap(tmp_path / "rights.yaml", "users: [")
    assert rights.stale
    swap(tmp_path / "rights.yaml", "users: {alice: []}")
    assert (rights.stale, rights.may(ALICE, "push", "team/app")) == (False, False)


def test_a_link_to_nothing_is_no_absent_file(tmp_path: Path) -> None:
    (tmp_path / "rights.yaml").symlink_to(tmp_path / "gone")
    with pytest.raises(errors.Misconfigured, match="cannot be read"):
        Rights(tmp_path / "rights.yaml", "push")
