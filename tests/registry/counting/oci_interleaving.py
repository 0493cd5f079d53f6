"""Two changes at once on purpose: one stops at a chosen place while the other runs as far as it can."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import event

from pier_registry.actions.registry import Registry
from tests.parts.database import DatabaseServer
from tests.registry.counting.crashing import Fuse, fused

_PATIENCE: Final = 30.0
_LOOK_EVERY: Final = 0.15  # InnoDB renews what it tells of waiting when it was not asked for a tenth of a second


@dataclass(slots=True)
class _Gate(Fuse):
    """The first to pass the step `at` waits there until it is let on."""

    at: str = "before a commit"
    reached: threading.Event = field(default_factory=threading.Event)
    opened: threading.Event = field(default_factory=threading.Event)

    def step(self, name: str) -> None:
        if name == self.at and not self.reached.is_set():
            self.reached.set()
            assert self.opened.wait(_PATIENCE)


@dataclass(frozen=True, slots=True)
class Both:
    """What the two raised, if anything; `waited` when the second had to wait for the first."""

    first: Exception | None
    second: Exception | None
    waited: bool


class _Running(threading.Thread):
    def __init__(self, act: Callable[[], object]) -> None:
        super().__init__()
        self._act = act
        self.ended = threading.Event()
        self.raised: Exception | None = None

    def run(self) -> None:
        try:
            self._act()
        except Exception as error:  # noqa: BLE001  the caller judges it
            self.raised = error
        finally:
            self.ended.set()


Change = Callable[[Registry], object]


def interleaved(
    registry: Registry, server: DatabaseServer, first: Change, second: Change, *, at: str = "before a commit"
) -> Both:
    """Stop the first at the step `at`, run the second until it ends or waits for a lock, then let the first go on."""
    gate = _Gate(at=at)
    one, two = _Running(lambda: first(fused(registry, gate))), _Running(lambda: second(registry))
    one.start()
    while not gate.reached.wait(0.01) and not one.ended.is_set():
        pass
    two.start()
    while not two.ended.wait(_LOOK_EVERY) and not _somebody_waits(server):
        pass
    waited = not two.ended.is_set()
    gate.opened.set()
    one.join(_PATIENCE)
    two.join(_PATIENCE)
    return Both(one.raised, two.raised, waited)


def _somebody_waits(server: DatabaseServer) -> bool:
    """For a row that another transaction has locked."""
    return bool(server.execute("SELECT 1 FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"))


@contextmanager
def before_statement(registry: Registry, number: int, act: Callable[[], object]) -> Iterator[list[int]]:
    """Do something once, before this statement of what runs inside; the list is empty when it never came so far."""
    done: list[int] = []
    seen = 0

    def look(*_: Any) -> None:
        nonlocal seen
        seen += 1
        if seen == number and not done:
            done.append(number)
            act()

    event.listen(registry.metadata.engine, "before_cursor_execute", look)
    try:
        yield done
    finally:
        event.remove(registry.metadata.engine, "before_cursor_execute", look)
