"""Processes that are killed in the middle of whatever they do: nothing is miscounted, and all of it is cleaned up."""

from __future__ import annotations

import random
import time

import pytest

from pier_registry.actions import fsck
from pier_registry.actions.registry import Registry
from tests.registry.counting import passing, storming, truth
from tests.registry.counting.conftest import Place
from tests.registry.counting.pushing import Client, image

KILLS = {"sqlite": 12, "mariadb": 5}


@pytest.mark.parametrize("place", ["sqlite", "mariadb"], indirect=True)
def test_a_registry_that_is_killed_again_and_again_keeps_its_counts(
    place: Place, request: pytest.FixtureRequest
) -> None:
    registry = place.open()
    for number in range(KILLS[request.node.callspec.params["place"]]):
        kill_one(place, number)
        truth.holds(registry)
        check(registry)
        if number % 3 == 2:
            passing.everything(registry)
            truth.is_at_rest(registry)
        top = image(f"after kill {number}", image("base"))
        Client(registry).push("team/a", "1", top)
        Client(registry).delete("team/a", "1")
    passing.everything(registry)
    check(registry)
    truth.is_at_rest(registry)


def kill_one(place: Place, seed: int) -> None:
    storm = storming.start(place.data, place.url, 60, threads=3, seed=seed)
    try:
        time.sleep(random.uniform(0.2, 1.2))
        assert storm.poll() is None
    finally:
        storm.kill()
        storm.communicate()


def check(registry: Registry) -> None:
    """Nothing but strays, and those are mended."""
    report = fsck.run(registry, repair=True, digests=True)
    assert {finding.kind for finding in report.findings} <= {"stray"}
    assert fsck.run(registry, repair=False, digests=True).findings == []
