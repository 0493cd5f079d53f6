"""Two changes at once on purpose: one has done everything but its commit while the other runs as far as it can."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from pier_registry.actions.registry import Registry
from tests.parts.database import DatabaseServer
from tests.registry.counting.crashing import Fuse, fused

_PATIENCE: Final = 30.0


@dataclass(slots=True)
class _Gate(Fuse):
    """The first commit waits until it is let on."""

    reached: threading.Event = field(default_factory=threading.Event)
    opened: threading.Event = field(default_factory=threading.Event)

    def step(self, name: str) -> None:
        if name == "before a commit" and not self.reached.is_set():
            self.reached.set()
            assert self.opened.wait(_PATIENCE)


@dataclass(slots=True)
class Both:
    """What the two raised, if anything; `waited` when the second had to wait for the first."""

    first: BaseException | None
    second: BaseException | None
    waited: bool


class _Running(threading.Thread):
    def __init__(self, act: Callable[[], object]) -> None:
        super().__init__()
        self._act = act
        self.ended = threading.Event()
        self.raised: BaseException | None = None

    def run(self) -> None:
        try:
            self._act()
        except Exception as error:  # noqa: BLE001  the caller judges it
            self.raised = error
        finally:
            self.ended.set()


def interleaved(
    registry: Registry,
    server: DatabaseServer,
    first: Callable[[Registry], object],
    second: Callable[[Registry], object],
) -> Both:
    """Stop the first before its commit, run the second until it ends or waits for a lock, then let the first go on."""
    gate = _Gate()
    one, two = _Running(lambda: first(fused(registry, gate))), _Running(lambda: second(registry))
    one.start()
    while not gate.reached.wait(0.01) and not one.ended.is_set():
        pass
    two.start()
    while not two.ended.wait(0.03) and not _somebody_waits(server):
        pass
    waited = not two.ended.is_set()
    gate.opened.set()
    one.join(_PATIENCE)
    two.join(_PATIENCE)
    return Both(one.raised, two.raised, waited)


def _somebody_waits(server: DatabaseServer) -> bool:
    """For a row that another transaction has locked."""
    return bool(server.execute("SELECT 1 FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"))
