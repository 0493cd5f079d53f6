"""Which registry is worked on when, by a clock that the test turns."""

from __future__ import annotations

from itertools import pairwise

import pytest

from pier_operator.cache import Cache
from pier_operator.queue import PAUSE, Queue
from tests.operator.planning import resource

KEY, OTHER = ("team", "pier"), ("team", "other")


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


def test_a_burst_is_two_pieces_of_work(queue: Queue, clock: Clock) -> None:
    taken = 0
    for _ in range(100):
        queue.add(KEY)
        if _take(queue):
            taken += 1
            queue.done(KEY)
        clock.now += 0.01
    clock.now += PAUSE
    taken += _take(queue) is not None
    assert taken <= 3


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


def test_an_older_version_never_replaces_a_newer_one() -> None:
    cache = Cache()
    new = resource()
    new["metadata"]["resourceVersion"] = "20"
    old = resource()
    old["metadata"]["resourceVersion"] = "9"
    assert cache.put(new)
    assert not cache.put(old)
    assert not cache.put(new)
    assert cache.registries() == [new]


def test_the_deletion_of_an_earlier_object_does_not_touch_the_one_of_now() -> None:
    cache = Cache()
    held = resource()
    held["metadata"]["resourceVersion"] = "20"
    earlier = resource()
    earlier["metadata"] |= {"uid": "other", "resourceVersion": "30"}
    cache.put(held)
    assert not cache.drop(earlier)
    assert cache.registries() == [held]


def test_a_fresh_list_brings_what_a_watch_has_missed() -> None:
    cache = Cache()
    gone, new = resource(), resource()
    gone["metadata"] |= {"name": "gone", "resourceVersion": "5"}
    new["metadata"] |= {"name": "new", "resourceVersion": "6"}
    later = resource()
    later["metadata"] |= {"name": "later", "resourceVersion": "50"}
    cache.put(gone)
    since = cache.newest()
    cache.put(later)
    assert cache.replace("PierRegistry", [new], since) == {("team", "gone"), ("team", "new")}
    assert {each["metadata"]["name"] for each in cache.registries()} == {"new", "later"}
