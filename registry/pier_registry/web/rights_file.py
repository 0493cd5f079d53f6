"""The form of `<data>/rights.yaml`: what each user may do where.

    users:
      alice:
        - {role: push, repositories: "team/*"}
        - {role: pull, repositories: ["*"]}
      bob: []                                   # may log in, and nothing else

A user holds a list of grants: `role` is none, pull, push or admin; `repositories` is one pattern or a list of them.
In a pattern `*` stands for any run of characters, `/` too; nothing else is special. It must match the whole stored
name (`library/app`, `team/app`), and one without `/` also matches below `library/`. `*` alone is everything.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, Final

import yaml

from pier_registry import errors
from pier_registry.web import users
from pier_registry.web.livefile import one_writer, read_whole, replace

_PATTERN = re.compile(r"[a-z0-9*][a-z0-9._*-]*(?:/[a-z0-9*][a-z0-9._*-]*)*", re.ASCII)
_LONGEST: Final = 200


class Role(IntEnum):
    """Each holds all before it."""

    none = 0
    pull = 1
    push = 2
    admin = 3


@dataclass(frozen=True, slots=True)
class Grant:
    """One role on the repositories that any of the patterns matches."""

    role: Role
    repositories: tuple[str, ...]


Entries = Mapping[str, tuple[Grant, ...]]


class RightsInvalid(ValueError):
    """A sentence that follows the file's name."""


def parse(raw: bytes) -> Entries:
    """Raises RightsInvalid, naming what is wrong; an empty file has no entries."""
    try:
        held = yaml.load(raw, _NoDoubles)  # noqa: S506  a SafeLoader
    except (yaml.YAMLError, ValueError, RecursionError) as wrong:
        raise RightsInvalid(f"is not YAML: {' '.join(str(wrong).split())}") from None
    if held is None:
        return {}
    if not isinstance(held, dict) or set(held) != {"users"}:
        raise RightsInvalid("must hold exactly one key, 'users:', with the users below it")
    named = {} if held["users"] is None else held["users"]
    if not isinstance(named, dict):
        raise RightsInvalid("must hold user names with lists of grants below 'users:'")
    return {_user(name): _grants(name, grants) for name, grants in named.items()}


def grant(role: str, repositories: Sequence[str]) -> Grant:
    """Raises RightsInvalid."""
    if role not in Role.__members__:
        raise RightsInvalid(f"names the role {role!r}: use none, pull, push or admin")
    for pattern in repositories:
        if len(pattern) > _LONGEST or not _PATTERN.fullmatch(pattern):
            raise RightsInvalid(
                f"holds the pattern {pattern[:80]!r}, which no repository can match: use lower-case letters, digits, "
                "'.', '_', '-', '/' and '*', such as 'team/*'"
            )
    return Grant(Role[role], tuple(repositories))


def set_entry(path: Path, user: str, grants: Sequence[Grant]) -> None:
    """Comments survive when the entry is new and fits at the end. Raises Misconfigured for a broken file."""
    with one_writer(path):
        raw = read_whole(path)
        replace(path, _with_entry(raw, user, {**read(path), user: tuple(grants)}))


def drop_entry(path: Path, user: str) -> None:
    """Nothing happens when there is none. Raises Misconfigured for a broken file."""
    with one_writer(path):
        entries = read(path)
        if user in entries:
            replace(path, _dump({name: grants for name, grants in entries.items() if name != user}))


def read(path: Path) -> Entries:
    """No file: no entries. Raises Misconfigured for a broken one."""
    try:
        return parse(read_whole(path))
    except RightsInvalid as wrong:
        raise errors.Misconfigured(f"{path} {wrong}") from None


def shown(grants: Sequence[Grant]) -> list[dict[str, Any]]:
    """Plain lists and texts, as in the file."""
    return [{"role": each.role.name, "repositories": list(each.repositories)} for each in grants]


def _user(name: object) -> str:
    if not isinstance(name, str):
        raise RightsInvalid(f"holds {name!r} where a user name belongs: put it in quotes")
    try:
        return users.check_name(name)
    except errors.Invalid as wrong:
        raise RightsInvalid(f"has a wrong name: {wrong.message}") from None


def _grants(name: str, grants: object) -> tuple[Grant, ...]:
    if not isinstance(grants, list):
        raise RightsInvalid(f"must hold a list of grants for {name}, such as [{{role: push, repositories: 'team/*'}}]")
    return tuple(_grant(name, each) for each in grants)


def _grant(name: str, held: object) -> Grant:
    if not isinstance(held, dict) or set(held) != {"role", "repositories"}:
        raise RightsInvalid(f"must hold exactly 'role' and 'repositories' in each grant of {name}")
    repositories = held["repositories"]
    patterns = repositories if isinstance(repositories, list) else [repositories]
    if not all(isinstance(pattern, str) for pattern in patterns):
        raise RightsInvalid(f"must hold text, or a list of texts, as 'repositories' of {name}")
    try:
        return grant(str(held["role"]), patterns)
    except RightsInvalid as wrong:
        raise RightsInvalid(f"{wrong} (user {name})") from None


def _dump(entries: Entries) -> bytes:
    named = {name: shown(grants) for name, grants in entries.items()}
    return yaml.safe_dump({"users": named}, sort_keys=False).encode()


def _with_entry(raw: bytes, user: str, wanted: Entries) -> bytes:
    entry = yaml.safe_dump({user: shown(wanted[user])}, sort_keys=False)
    below = "".join(f"  {line}\n" for line in entry.splitlines())
    longer = (raw.rstrip() or b"users:") + b"\n" + below.encode()
    return longer if _says(longer, wanted) else _dump(wanted)


def _says(raw: bytes, wanted: Entries) -> bool:
    try:
        return parse(raw) == wanted
    except RightsInvalid:
        return False


class _NoDoubles(yaml.SafeLoader):
    """Refuses a key that comes twice: the later one would silently undo the earlier."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = Counter(str(key.value) for key, _ in node.value)
        if twice := [key for key, times in seen.items() if times > 1]:
            raise yaml.YAMLError(f"{', '.join(twice)} stands there twice")
        return super().construct_mapping(node, deep)
