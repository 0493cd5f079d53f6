"""How often an operator looks at a registry that it is alone with: its own writes are no news to it."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator

import pytest

from pier_operator import api
from pier_operator.queue import PAUSE
from tests.operator.cluster import UNGATED, Cluster, Operator, eventually, with_pier
from tests.parts import control_plane

_PLACE = "echoes"
_EDITS = 100


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Without controllers and node, so whatever is told of a child has been written by the operator."""
    with control_plane.running(controllers=False) as plane, with_pier(plane) as cluster:
        cluster.kube.request("POST", "/api/v1/namespaces", body={"kind": "Namespace", "metadata": {"name": _PLACE}})
        yield cluster


@pytest.fixture(scope="module")
def operator(cluster: Cluster) -> Iterator[Operator]:
    """Whose registry waits for its database."""
    running = Operator(cluster.plane, "alone")
    running.start()
    try:
        eventually(running.is_ready, 60, running.log.read_text)
        cluster.create(_PLACE)
        cluster.wait_for(_PLACE, "DatabaseReady", "Starting", within=60)
        _rested(running)
        yield running
    finally:
        running.stop()


def _looks(operator: Operator) -> float:
    return operator.metric("pier_operator_reconciles_total")


def _rested(operator: Operator) -> float:
    """How often it had looked when it did no longer."""
    before = -1.0
    while (looks := _looks(operator)) != before:
        before = looks
        time.sleep(2 * PAUSE)
    return looks


def _annotate(cluster: Cluster, value: str) -> None:
    cluster.change(_PLACE, spec={"expose": {"service": {"annotations": {"edit": value}}}})


def _until_in_force(cluster: Cluster, value: str) -> None:
    def is_in_force() -> bool:
        service = cluster.get("Service", _PLACE)
        return service is not None and api.annotations_of(service).get("edit") == value

    eventually(is_in_force)


def test_an_edit_is_one_look(cluster: Cluster, operator: Operator) -> None:
    """Which writes a child, and is not told of it as news."""
    looks, writes = _rested(operator), operator.writes()
    for number in range(1, 6):
        _annotate(cluster, str(number))
        _until_in_force(cluster, str(number))
        assert _rested(operator) == looks + number
        assert operator.writes() == writes + number


def test_a_hundred_edits_are_few_looks(cluster: Cluster, operator: Operator) -> None:
    looks, begin = _rested(operator), time.monotonic()
    for number in range(_EDITS):
        time.sleep(max(0.0, begin + number / _EDITS - time.monotonic()))
        _annotate(cluster, f"of-many-{number}")
    seconds = time.monotonic() - begin
    _until_in_force(cluster, f"of-many-{_EDITS - 1}")
    assert _rested(operator) - looks <= 2 + math.ceil((seconds - PAUSE) / (2 * PAUSE))  # three, up to two seconds


def test_a_look_that_finds_nothing_writes_nothing(cluster: Cluster, operator: Operator) -> None:
    looks, writes = _rested(operator), operator.writes()
    versions = _versions(cluster)
    changed = cluster.change(_PLACE, metadata={"annotations": {"look": "again"}})
    eventually(lambda: _looks(operator) > looks)
    assert _rested(operator) - looks == 1
    assert operator.writes() == writes
    assert _versions(cluster) == versions
    found = cluster.get("PierRegistry", _PLACE)
    assert found
    assert found["metadata"]["resourceVersion"] == changed["metadata"]["resourceVersion"]


def test_what_is_deleted_by_the_operator_is_no_news_to_it(cluster: Cluster, operator: Operator) -> None:
    looks, writes = _rested(operator), operator.writes()
    cluster.change(_PLACE, spec={"networkPolicy": {"enabled": False}})
    eventually(lambda: set(cluster.children(_PLACE)) == {place for place in UNGATED if place[0] != "NetworkPolicy"})
    assert _rested(operator) - looks == 1
    assert operator.writes() - writes == 2


def _versions(cluster: Cluster) -> dict[tuple[str, str], str]:
    return {key: each["metadata"]["resourceVersion"] for key, each in cluster.children(_PLACE).items()}
