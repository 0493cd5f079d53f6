"""Who takes part: Pier and both distributions, all running at once."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from bench.client import Door
from bench.figures import Bound, Row, compared
from bench.stage import Bench, serving
from bench.v2 import distribution
from pier_registry.web import users
from tests.parts.registry import Running

Subject = tuple[str, str]  # what is done, and who does it
Subjects = dict[Subject, Callable[[], float]]

PIER: Final = "Pier"
COSTS: Final = (5, 10)
_SETTLED: Final = 2.5  # seconds after which a changed users file is no longer read at each request


@dataclass(frozen=True, slots=True)
class Field:
    """Doors by name, Pier's first, at which nobody is logged in; `open` those of the others without any login."""

    pier: Running
    doors: Mapping[str, Door]
    open: Mapping[str, Door]
    passwords: Mapping[int, str]

    def at_cost(self, cost: int) -> dict[str, Door]:
        """Everybody's door for the user whose password has this bcrypt cost."""
        return {
            name: replace(each, user=_user(cost), password=self.passwords[cost]) for name, each in self.doors.items()
        }


@contextmanager
def gathered(bench: Bench, name: str, *, unguarded: bool = False) -> Iterator[Field]:
    """Until the end of the block; `unguarded`: the others also without any login, on the same storage."""
    with serving(bench, name) as pier, ExitStack() as stack:
        passwords = {cost: _new_user(pier, cost) for cost in COSTS}
        doors, without = {PIER: Door(pier.url, pier.ca)}, {}
        for which in distribution.installed():
            folder = bench.folder / which.program.name
            doors[which.name] = stack.enter_context(distribution.running(which, folder, pier))
            if unguarded:
                opened = distribution.running(which, folder, pier, guarded=False)
                without[which.name] = stack.enter_context(opened)
        time.sleep(_SETTLED)
        here = Field(pier, doors, without, passwords)
        _check_tls(bench, here)
        yield here


def _check_tls(bench: Bench, here: Field) -> None:
    spoken = {bench.client.ask(door, "GET", "/v2/").tls for door in (*here.at_cost(5).values(), *here.open.values())}
    assert len(spoken) == 1, f"all must speak the same TLS, not {spoken}"


def per_door(variant: str, doors: Mapping[str, Door], run: Callable[[Door], float]) -> Subjects:
    """The same for everybody, as `interleaved` takes it."""
    return {(variant, name): partial(run, door) for name, door in doors.items()}


def against_each(
    names: tuple[str, str], unit: str, measured: Mapping[Subject, list[float]], variant: str, bound: Bound | None
) -> Iterator[Row]:
    """Pier beside each of those that did the same."""
    for (done, name), theirs in measured.items():
        if done == variant and name != PIER:
            yield compared(names, unit, measured[variant, PIER], (name, theirs), bound)


def _new_user(pier: Running, cost: int) -> str:
    password = secrets.token_urlsafe(12)
    users.put(pier.data / "users.htpasswd", _user(cost), users.hash_password(password, cost))
    return password


def _user(cost: int) -> str:
    return f"cost{cost}"
