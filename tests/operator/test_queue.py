"""Which registry is worked on when, by a clock that the test turns."""

from __future__ import annotations

from itertools import pairwise

import pytest

from pier_operator.cache import Mark
from pier_operator.queue import PAUSE, SOON, Queue

KEY, OTHER = ("team", "pier"), ("team", "other")
EDIT: Mark = ("resource", "20")
STATUS: Mark = ("deployment", "30")


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(clock: Clock) -> Queue:
    return Queue(clock)


def _take(queue: Queue) -> tuple[str, str] | None:
    return queue.take(patience=0)


def test_a_key_is_worked_on_once_however_often_it_is_added(queue: Queue) -> None:
    for _ in range(100):
        queue.add(KEY)
    assert _take(queue) == KEY
    queue.done(KEY)
    assert _take(queue) is None


def test_two_workers_never_have_the_same_key(queue: Queue, clock: Clock) -> None:
    queue.add(KEY)
    assert _take(queue) == KEY
    clock.now += 10
    queue.add(KEY)
    queue.add(OTHER)
    assert _take(queue) == OTHER
    assert _take(queue) is None
    queue.done(KEY)
    assert _take(queue) == KEY


def _worked_on(queue: Queue) -> bool:
    taken = _take(queue)
    if taken:
        queue.done(taken)
    return bool(taken)


@pytest.mark.parametrize(("seconds", "most"), [(1.0, 3), (2.0, 3), (20.0, 16)])
def test_a_burst_of_edits_is_few_looks_though_each_look_changes_a_child(
    queue: Queue, clock: Clock, seconds: float, most: int
) -> None:
    looks = 0
    for version in range(100):
        queue.changed(KEY, ("resource", str(version)), edited=True)
        if _worked_on(queue):
            looks += 1
            queue.changed(KEY, ("deployment", str(version)), edited=False)
        clock.now += seconds / 100
    clock.now += 2 * PAUSE
    looks += _worked_on(queue)
    assert looks == most
    assert not _worked_on(queue)


def test_an_edit_after_a_burst_waits_no_longer_than_any_other(queue: Queue, clock: Clock) -> None:
    for version in range(3):
        queue.changed(KEY, ("resource", str(version)), edited=True)
        clock.now += 2 * PAUSE
        assert _worked_on(queue)
    clock.now += 3 * PAUSE
    for version in (3, 4):
        queue.changed(KEY, ("resource", str(version)), edited=True)
        assert _worked_on(queue) is (version == 3)
    clock.now += PAUSE
    assert _worked_on(queue)


def test_a_gate_that_opens_waits_less_than_an_edit(queue: Queue, clock: Clock) -> None:
    queue.add(KEY)
    assert _worked_on(queue)
    queue.changed(KEY, STATUS, edited=False)
    queue.changed(OTHER, EDIT, edited=True)
    assert _worked_on(queue)  # the other one had no look before
    queue.changed(OTHER, EDIT, edited=True)
    clock.now += SOON
    assert _take(queue) == KEY
    queue.done(KEY)
    assert _take(queue) is None
    clock.now += PAUSE - SOON
    assert _take(queue) == OTHER


def test_what_was_no_news_is_not_looked_at(queue: Queue, clock: Clock) -> None:
    queue.changed(KEY, EDIT, edited=True)
    queue.changed(KEY, STATUS, edited=False)
    queue.withdraw(KEY, EDIT)
    queue.withdraw(KEY, STATUS)
    queue.withdraw(OTHER, EDIT)
    clock.now += 100
    assert _take(queue) is None


def test_other_news_of_the_same_registry_and_a_look_to_come_stay(queue: Queue, clock: Clock) -> None:
    queue.add(KEY, after=600)
    queue.changed(KEY, EDIT, edited=True)
    queue.changed(KEY, STATUS, edited=False)
    queue.withdraw(KEY, EDIT)
    assert _worked_on(queue)
    queue.add(KEY, after=600)
    clock.now += 10
    queue.changed(KEY, EDIT, edited=True)
    queue.withdraw(KEY, EDIT)
    assert _take(queue) is None
    clock.now += 600
    assert _take(queue) == KEY


def test_what_nobody_takes_does_not_gather(queue: Queue, clock: Clock) -> None:
    """As in an operator that does not lead; a change that is one of many is looked at in any case."""
    queue.add(KEY, after=600)
    for version in range(10_000):
        queue.changed(KEY, ("deployment", str(version)), edited=False)
    assert len(queue._waits[KEY].others) <= 101
    for version in range(10_000):
        queue.withdraw(KEY, ("deployment", str(version)))
    clock.now += SOON
    assert _take(queue) == KEY


def test_what_is_told_while_a_registry_goes_is_looked_at(queue: Queue, clock: Clock) -> None:
    """It may have been made anew since the look that did not find it."""
    queue.add(KEY)
    assert _take(queue) == KEY
    queue.changed(KEY, EDIT, edited=True)
    queue.done(KEY)
    queue.forget(KEY)
    clock.now += PAUSE
    assert _take(queue) == KEY


def test_a_fault_makes_each_try_later_up_to_a_minute(queue: Queue, clock: Clock) -> None:
    waits = []
    for _ in range(12):
        queue.add(KEY)
        clock.now += 100
        assert _take(queue) == KEY
        waits.append(queue.failed(KEY))
    assert waits[0] < 0.3
    assert all(later > sooner for sooner, later in pairwise(waits[:8]))
    assert max(waits) <= 72
    clock.now += 100
    assert _take(queue) == KEY
    queue.done(KEY)
    queue.add(KEY)
    clock.now += 1
    assert _take(queue) == KEY
    assert queue.failed(KEY) < 0.3


def test_a_server_that_names_a_time_is_heeded(queue: Queue, clock: Clock) -> None:
    queue.add(KEY)
    assert _take(queue) == KEY
    assert queue.failed(KEY, at_least=7) == 7
    clock.now += 6.9
    assert _take(queue) is None
    clock.now += 0.2
    assert _take(queue) == KEY


def test_an_event_comes_before_a_later_look(queue: Queue, clock: Clock) -> None:
    queue.add(KEY, after=600)
    assert _take(queue) is None
    queue.add(KEY)
    assert _take(queue) == KEY
    queue.done(KEY)
    clock.now += 700
    assert _take(queue) is None
