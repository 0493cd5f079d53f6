"""Clients that do something at the same moment."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

import httpx

from tests.parts.registry import Running
from tests.registry.v2.answers import connect

Result = TypeVar("Result")
_PATIENCE: Final = 120


def together(running: Running, count: int, act: Callable[[httpx.Client, int], Result]) -> list[Result]:
    """What `act(client, number)` returned, each with a connection of its own that is open before all begin."""
    gate = threading.Barrier(count)

    def one(number: int) -> Result:
        with connect(running, agent=f"client/{number}") as client:
            client.get("/v2/")
            gate.wait(_PATIENCE)
            return act(client, number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))
