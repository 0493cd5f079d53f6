"""Many clients at once: no push is lost, no error is seen, and the counts are right when they are done."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial

import pytest

from pier_registry.actions.registry import Registry
from pier_registry.metadata import events
from tests.registry.counting import passing, storming, truth
from tests.registry.counting.conftest import Place
from tests.registry.counting.planting import plant
from tests.registry.counting.pushing import Client, held, image

SECONDS = 11.0
KINDS = ("push", "retag", "delete", "delete repository")


def storm(once: Callable[[int], storming.Told]) -> storming.Told:
    """Again, with another seed, where the machine is too busy for each kind to have had its turn."""
    told = storming.Told()
    for _ in range(5):
        told.join(once(time.time_ns() % 1000))
        if told.failures or all(told.done[what] for what in KINDS):
            break
    return told


def two_processes(place: Place, seconds: float, threads: int, seed: int) -> storming.Told:
    storms = [storming.start(place.data, place.url, seconds, threads, seed + number) for number in range(2)]
    told = storming.Told()
    for each in storms:
        told.join(storming.ended(each))
    return told


def settled(registry: Registry, told: storming.Told) -> None:
    assert told.failures == []
    for what in KINDS:
        assert told.done[what] >= 1, told.done
    truth.holds(registry)
    passing.everything(registry)
    truth.is_at_rest(registry)


@pytest.mark.alone
@pytest.mark.parametrize("place", ["mariadb"], indirect=True)
def test_sixteen_clients_lose_no_push_and_keep_the_counts(registry: Registry) -> None:
    settled(registry, storm(lambda seed: storming.run(registry, SECONDS, 16, seed)))


@pytest.mark.alone
@pytest.mark.parametrize("place", ["mysql"], indirect=True)
def test_eight_clients_on_mysql_lose_no_push_and_keep_the_counts(registry: Registry) -> None:
    settled(registry, storm(lambda seed: storming.run(registry, SECONDS / 3, 8, seed)))


@pytest.mark.parametrize("place", ["sqlite", "mariadb"], indirect=True)
def test_two_processes_of_eight_clients_lose_no_push_and_keep_the_counts(place: Place) -> None:
    told = storm(lambda seed: two_processes(place, SECONDS, 8, seed))
    settled(place.open(), told)


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
def test_twice_twenty_five_writers_are_never_told_that_the_database_is_busy(place: Place) -> None:
    registry = place.open()
    plant(registry, "team/a", {f"{number}": top for number, top in enumerate(storming.TOPS)})
    told = two_processes(place, 6, 25, seed=0)
    assert told.failures == []
    assert told.done["push"] > 10
    truth.holds(registry)


def together(*acts: Callable[[], object]) -> list[BaseException]:
    """Run them all at once; returns what they raised."""
    barrier = threading.Barrier(len(acts))
    raised: list[BaseException] = []

    def run(act: Callable[[], object]) -> None:
        barrier.wait()
        try:
            act()
        except Exception as error:  # noqa: BLE001  the caller judges it
            raised.append(error)

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


@pytest.mark.parametrize("place", ["sqlite", "mariadb", "mysql"], indirect=True)
def test_one_of_many_deletes_of_a_tag_at_once_succeeds(registry: Registry) -> None:
    client = Client(registry)
    for number in range(5):
        top = image(f"top {number}")
        client.push("team/app", "latest", top)
        raised = together(*[lambda: client.delete("team/app", "latest")] * 6)
        assert [type(error).__name__ for error in raised] == ["TagUnknown"] * 5
        truth.is_at_rest(registry)
    assert registry.metadata.read(events.freed_bytes) == held(*(image(f"top {number}") for number in range(5)))


@pytest.mark.parametrize("place", ["sqlite", "mariadb", "mysql"], indirect=True)
def test_a_new_image_sent_by_many_users_at_once_is_stored_once(registry: Registry) -> None:
    clients = [Client(registry, f"user{number}") for number in range(6)]
    for number in range(4):
        top = image(f"top {number}", image("base"))
        raised = together(*[partial(one.push, "team/app", one.user, top) for one in clients])
        assert raised == []
    assert truth.count(registry, "image") == 2
    passing.everything(registry)
    truth.is_at_rest(registry)


def test_a_retag_and_a_delete_at_once_leave_one_of_two_states(registry: Registry) -> None:
    client = Client(registry)
    base = image("base")
    old, new = image("old", base), image("new", base)
    for _ in range(8):
        client.push("team/app", "latest", old)
        client.push("team/app", "new", new)
        raised = together(
            lambda: client.tag("team/app", "latest", new),
            lambda: client.delete("team/app", "latest"),
            lambda: client.delete("team/app", "new"),
        )
        assert {type(error).__name__ for error in raised} <= {"ImageUnknown", "TagUnknown"}
        truth.is_at_rest(registry)
