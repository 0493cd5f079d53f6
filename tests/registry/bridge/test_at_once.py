"""Clients of both protocols at once on the same images: no push is lost, no error is seen, and the counts are right."""

from __future__ import annotations

import random
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import pytest

from pier_registry import errors
from pier_registry.actions import fsck, reclaim
from pier_registry.actions.registry import Registry
from tests.registry.bridge.crossing import CHILD, NEW, OLD, OTHER, PARENTS, XZ, Client, faces
from tests.registry.counting import passing, truth
from tests.registry.counting.conftest import Place

SECONDS: Final = 8.0
REPOSITORIES: Final = ("team/a", "team/b")
TAGS: Final = ("1", "2")


@dataclass(slots=True)
class Worker:
    """One docker host that speaks both; `done` counts what it did, `failures` are what must not happen."""

    registry: Registry
    deadline: float
    seed: int
    done: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def run(self) -> None:
        chosen = random.Random(self.seed)
        client = Client(self.registry, f"host{self.seed}")
        acts: Sequence[Callable[[Client, str, str], None]] = (
            self._push_old,
            self._push_new,
            self._push_child,
            self._retag,
            self._tag_a_part,
            self._delete,
        )
        while time.monotonic() < self.deadline and not self.failures:
            act = chosen.choice(acts)
            try:
                act(client, chosen.choice(REPOSITORIES), chosen.choice(TAGS))
                self.done[act.__name__] += 1
            except (errors.ImageUnknown, errors.TagUnknown):
                self.done["refused"] += 1
            except Exception:  # noqa: BLE001  whatever it is, the test is to say so
                self.failures.append(traceback.format_exc())

    def _push_old(self, client: Client, name: str, tag: str) -> None:
        self._must(lambda: client.push_old(name, tag, *random.choice((OLD, XZ))))

    def _push_new(self, client: Client, name: str, tag: str) -> None:
        self._must(lambda: client.push_new(name, tag, random.choice((NEW, OTHER))))

    def _push_child(self, client: Client, name: str, tag: str) -> None:
        """Its parents may not be there; once the push was told that they are, they have to stay."""
        client.begin(name, *PARENTS, CHILD)
        try:
            if all(client.told_there(parent.id) for parent in PARENTS):
                self._must(lambda: client.send(CHILD))
                self._must(lambda: client.point(name, tag, CHILD.id))
        finally:
            client.end(name)

    def _retag(self, client: Client, name: str, tag: str) -> None:
        client.begin(name, *PARENTS)
        try:
            if all(client.told_there(parent.id) for parent in PARENTS):
                self._must(lambda: client.point(name, tag, PARENTS[-1].id))
        finally:
            client.end(name)

    def _tag_a_part(self, client: Client, name: str, tag: str) -> None:
        client.point(name, tag, PARENTS[1].id)

    def _delete(self, client: Client, name: str, tag: str) -> None:
        client.delete(name, tag)

    def _must(self, act: Callable[[], object]) -> None:
        """What was promised is there: a refusal is a lost push."""
        try:
            act()
        except errors.PierError:
            self.failures.append(traceback.format_exc())


@pytest.mark.parametrize("place", ["sqlite", "mariadb"], indirect=True)
def test_clients_of_both_protocols_lose_no_push_and_keep_the_counts(place: Place) -> None:
    registry = place.open()
    deadline, seed = time.monotonic() + SECONDS, time.time_ns() % 1000
    workers = [Worker(registry, deadline, seed * 100 + number) for number in range(8)]
    reclaimer = reclaim.Reclaimer(registry, interval=0.3)
    reclaimer.start()
    threads = [threading.Thread(target=worker.run) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    reclaimer.stop()
    assert [failure for worker in workers for failure in worker.failures] == []
    done = sum((worker.done for worker in workers), Counter())
    assert {"_push_old", "_push_new", "_push_child", "_retag", "_tag_a_part", "_delete"} <= set(done)
    truth.holds(registry)
    assert faces(registry) == []
    passing.everything(registry)
    truth.is_at_rest(registry)
    assert fsck.run(registry, repair=False, digests=True).findings == []
