"""What is told of requests: all of them, whichever worker answered, and after a worker's death too."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.parts.registry import Running
from tests.registry.protocol.doors import DOORS, opened
from tests.registry.v2.places import until

Series = dict[tuple[str, ...], float]


@pytest.fixture(params=DOORS)
def running(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Running]:
    with opened(tmp_path, request.param, workers=2) as registry:
        yield registry


def told(running: Running, sample: str) -> Series:
    """Values by protocol, method and what else a sample is labelled with."""
    families = text_string_to_metric_families(running.private("/metrics").text)
    return {
        tuple(each.labels[name] for name in ("protocol", "method", "code", "le") if name in each.labels): each.value
        for family in families
        for each in family.samples
        if each.name == sample
    }


def ask(running: Running, *questions: tuple[str, str]) -> None:
    """Each on a connection of its own, so that every worker has some."""
    for method, path in questions:
        with running.client() as client:
            client.request(method, path)


def test_every_request_is_told_once(running: Running) -> None:
    assert told(running, "pier_requests_total") == {}
    ask(
        running,
        *[("GET", "/v2/")] * 12,
        *[("GET", "/v2/some/app/manifests/1")] * 5,
        ("DELETE", "/v2/some/app/manifests/1"),
        *[("GET", "/v1/_ping")] * 2,
        ("GET", "/api/usage"),
    )
    with running.client(password="a guess") as stranger:
        assert stranger.get("/v2/").status_code == 401
    running.private("/healthz")
    assert told(running, "pier_requests_total") == {
        ("v2", "GET", "200"): 12,
        ("v2", "GET", "401"): 1,
        ("v2", "GET", "404"): 5,
        ("v2", "DELETE", "404"): 1,
        ("v1", "GET", "200"): 2,
        ("api", "GET", "200"): 1,
    }


def test_a_time_is_told_of_each(running: Running) -> None:
    ask(running, *[("GET", "/v2/")] * 12)
    buckets = told(running, "pier_request_seconds_bucket")
    assert buckets["v2", "GET", "+Inf"] == told(running, "pier_request_seconds_count")["v2", "GET"] == 12
    assert list(buckets.values()) == sorted(buckets.values())
    assert 0 < told(running, "pier_request_seconds_sum")["v2", "GET"] < 12 * 60


def test_what_a_dead_worker_counted_is_told_and_counted_on(running: Running) -> None:
    ask(running, *[("GET", "/v2/")] * 6)
    before = running.workers()
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    until(lambda: len(set(running.workers()) - set(before)) == 2, "new workers come")
    ask(running, *[("GET", "/v2/")] * 6)
    assert told(running, "pier_requests_total") == {("v2", "GET", "200"): 12}


def test_another_start_begins_from_nothing(running: Running) -> None:
    ask(running, ("GET", "/v2/"))
    running.stop()
    running.start()
    assert told(running, "pier_requests_total") == {}


def test_what_is_not_known_is_told_as_other(tmp_path: Path) -> None:
    """nginx lets none of it through; without it, there must not be a series for each word that somebody makes up."""
    with opened(tmp_path, "direct") as running:
        ask(running, ("BREW", "/v2/"), ("STIR", "/v2/"), ("GET", "/coffee"))
        assert told(running, "pier_requests_total") == {("v2", "other", "405"): 2, ("other", "GET", "404"): 1}
