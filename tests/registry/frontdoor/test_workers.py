"""Requests fall to all workers alike, though connections are kept; a worker that dies is replaced, with its socket."""

from __future__ import annotations

import contextlib
import os
import signal
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.registry.frontdoor.door import LOGIN, Door, answer, opened, until


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A front door of two workers."""
    with opened(tmp_path_factory.mktemp("pair"), workers=2) as running:
        until(lambda: len(workers(running, 4)) == 2, "both workers answer")
        yield running


def workers(door: Door, requests: int) -> Counter[int]:
    """How many of the requests of one client each worker has answered."""
    with contextlib.closing(door.connect()) as connection:
        answers = [answer(connection, "GET", "/v1/echo", LOGIN, None) for _ in range(requests)]
    return Counter(one.json["worker"] for one in answers)


def test_requests_of_one_client_fall_to_all_workers(pair: Door) -> None:
    assert sorted(workers(pair, 40).values()) == [20, 20]


def test_many_clients_fall_to_all_workers(pair: Door) -> None:
    told = sum((workers(pair, 4) for _ in range(20)), Counter[int]())
    assert len(told) == 2
    assert min(told.values()) >= 30


def test_a_worker_that_dies_is_replaced_at_its_socket(pair: Door) -> None:
    first, second = workers(pair, 4)
    os.kill(first, signal.SIGKILL)

    def replaced() -> bool:
        return pair.ask("/v1/echo").status == 200 and first not in workers(pair, 4)

    until(replaced, "another worker answers")
    served = workers(pair, 40)
    assert second in served
    assert sorted(served.values()) == [20, 20]


def test_a_request_that_comes_with_the_one_before_is_answered(pair: Door) -> None:
    asked = f"GET /v1/echo HTTP/1.1\r\nHost: localhost\r\nAuthorization: {LOGIN['Authorization']}\r\n"
    told = pair.say(f"{asked}\r\n{asked}\r\n{asked}Connection: close\r\n\r\n".encode())
    assert told.count(b"HTTP/1.1 200 OK") == 3
