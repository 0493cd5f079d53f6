"""Words of the access tests: lines of a users file, Basic headers, and a door with a clock of its own."""

from __future__ import annotations

import base64
import os
import threading
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import bcrypt

from pier_registry import errors
from pier_registry.web.auth import Authenticator
from pier_registry.web.throttle import Throttle
from pier_registry.web.tokens import Tokens
from pier_registry.web.users import Snapshot, Users
from pier_registry.web.verdicts import Verdicts

HOME, AWAY = "192.0.2.1", "198.51.100.7"


def line(user: str, password: str, cost: int = 4) -> str:
    return f"{user}:{bcrypt.hashpw(password.encode(), bcrypt.gensalt(cost)).decode()}\n"


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def swap(path: Path, text: str) -> None:
    """Put the text in the file's place, as careful programs do."""
    new = path.with_name("new")
    new.write_text(text)
    os.replace(new, path)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class CountedSnapshot(Snapshot):
    """Counts the passwords that bcrypt was asked about."""

    asked: list[str]

    def verify(self, user: str, password: str) -> bool:
        self.asked.append(user)
        return super().verify(user, password)


class CountedUsers(Users):
    def __init__(self, path: Path, asked: list[str]) -> None:
        super().__init__(path)
        self._counted = type("Counted", (CountedSnapshot,), {"asked": asked})

    def current(self) -> Snapshot:
        real = super().current()
        counted: Snapshot = self._counted(**{each.name: getattr(real, each.name) for each in fields(real)})
        return counted


class Door:
    """An authenticator over a real users file."""

    def __init__(self, path: Path, *, limit: int = 1_000_000, most: int = 4096, tokens: Tokens | None = None) -> None:
        self.path = path
        self.clock = Clock()
        self.asked: list[str] = []
        self.users = CountedUsers(path, self.asked)
        self.throttle = Throttle(limit, clock=self.clock)
        self.verdicts = Verdicts(most=most, clock=self.clock)
        self.authenticator = Authenticator(self.users, self.throttle, self.verdicts, tokens)

    def open(self, user: str, password: str, client: str = HOME) -> int:
        """The status that an answer would have."""
        return self.show(basic(user, password), client)

    def show(self, authorization: str | None, client: str = HOME) -> int:
        try:
            self.authenticator.authenticate(authorization, client)
        except errors.PierError as refused:
            return refused.status
        return 200


def together(count: int, work: Callable[[int], int]) -> list[int]:
    """What `work(number)` returned in threads that started as one."""
    gate = threading.Barrier(count)
    results = [0] * count

    def run(number: int) -> None:
        gate.wait(10)
        results[number] = work(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results
