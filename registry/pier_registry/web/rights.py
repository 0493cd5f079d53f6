"""The only judge of who may do what: `may(user, verb, repository)`.

none ⊂ pull ⊂ push ⊂ admin, and the highest role of all matching grants counts. A user without an entry in the
rights file (its form: rights_file.py) has the default role on everything; `admin` without an entry is admin on
everything, since it is the account that a new registry starts with. Who sends no credentials may pull everything,
or what the entry `anonymous` lists, and nothing more.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from pier_registry import errors
from pier_registry.names import DEFAULT_NAMESPACE
from pier_registry.web import rights_file, users
from pier_registry.web.livefile import LiveFile
from pier_registry.web.rights_file import Grant, Role

ADMIN: Final = "admin"

Verb = Literal["pull", "push", "delete", "delete-repository", "admin"]
_NEEDED: Final[Mapping[Verb, Role]] = {
    "pull": Role.pull,
    "push": Role.push,
    "delete": Role.push,
    "delete-repository": Role.admin,
    "admin": Role.admin,
}


@dataclass(frozen=True, slots=True)
class User:
    """Someone whose password was right, or anybody at all; the anonymous one has no name."""

    name: str
    anonymous: bool = False


ANONYMOUS: Final = User("", anonymous=True)


@dataclass(frozen=True, slots=True)
class _Rule:
    role: Role
    everything: bool
    pattern: re.Pattern[str]


_Rules = Mapping[str, tuple[_Rule, ...]]


class Rights:
    """The rights file as it is now, over the default role. Raises Misconfigured when it is wrong at the start.

    No file: no entries. A file that goes wrong or away later: the last good one, and `stale`.
    """

    def __init__(self, path: Path, default_role: str) -> None:
        self._default = (_rule(Role[default_role], "*"),)
        self._admin = (_rule(Role.admin, "*"),)
        self._anybody = (_rule(Role.pull, "*"),)
        self._file = LiveFile[_Rules](path, _rules, {}, optional=True)
        if self.trouble:
            raise errors.Misconfigured(self.trouble)

    @property
    def trouble(self) -> str:
        """Why the file on disk is not the one in force; empty when it is, or when there never was one."""
        self._file.current()
        return self._file.trouble

    @property
    def stale(self) -> bool:
        return bool(self.trouble)

    def may(self, user: User, verb: Verb, repository: str | None = None) -> bool:
        """Whether the user may do this to the repository, by its full stored name.

        Without a repository, and for the verb `admin`, the right must hold everywhere.
        """
        if repository is None or verb == "admin":
            return self.everywhere(user, verb)
        needed = _NEEDED[verb]
        for rule in self._rules_of(user, verb):
            if rule.role >= needed and (rule.everything or rule.pattern.fullmatch(repository)):
                return True
        return False

    def everywhere(self, user: User, verb: Verb) -> bool:
        """Whether the user may do this to every repository there is or will be."""
        return any(rule.role >= _NEEDED[verb] and rule.everything for rule in self._rules_of(user, verb))

    def require(self, user: User, verb: Verb, repository: str | None = None) -> None:
        """Raises Denied."""
        if not self.may(user, verb, repository):
            raise errors.Denied(verb, repository)

    def _rules_of(self, user: User, verb: Verb) -> tuple[_Rule, ...]:
        """Those that could allow the verb."""
        if user.anonymous:
            return self._file.current().get(users.RESERVED, self._anybody) if verb == "pull" else ()
        without_entry = self._admin if user.name == ADMIN else self._default
        return self._file.current().get(user.name, without_entry)


def _rules(raw: bytes) -> _Rules:
    return {name: tuple(_each(grants)) for name, grants in rights_file.parse(raw).items()}


def _each(grants: tuple[Grant, ...]) -> list[_Rule]:
    return [_rule(grant.role, pattern) for grant in grants for pattern in grant.repositories]


def _rule(role: Role, pattern: str) -> _Rule:
    return _Rule(role, not pattern.strip("*"), re.compile(_expression(pattern)))


def _expression(pattern: str) -> str:
    """Each run between two stars is found once, at its first place, so a match takes time linear in the name."""
    first, *rest = [re.escape(run) for run in re.split(r"\*+", pattern)]
    middle, last = rest[:-1], rest[-1:]
    starred = first + "".join(f"(?>.*?{run})" for run in middle) + "".join(f".*{run}" for run in last)
    return starred if "/" in pattern else f"(?:{DEFAULT_NAMESPACE}/)?{starred}"
