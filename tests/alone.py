"""Tests that are marked `alone` run while no other test of this run does: they measure, or take the whole machine."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "alone: while it runs no other worker runs a test.")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Outside of everything that counts a test's time."""
    if not hasattr(item.config, "workerinput"):
        return (yield)
    folder: Path = item.config._tmp_path_factory.getbasetemp().parent  # type: ignore[attr-defined]
    with _turn(folder, alone=item.get_closest_marker("alone") is not None):
        return (yield)


@contextmanager
def _turn(folder: Path, *, alone: bool) -> Iterator[None]:
    """All go through the gate; who is to be alone keeps it closed, and waits until the room is empty."""
    with ExitStack() as within:
        with ExitStack() as passing:
            gate = within if alone else passing
            gate.enter_context(_held(folder / "gate", fcntl.LOCK_EX))
            within.enter_context(_held(folder / "room", fcntl.LOCK_EX if alone else fcntl.LOCK_SH))
        yield


@contextmanager
def _held(place: Path, how: int) -> Iterator[None]:
    with place.open("a") as lock:
        fcntl.flock(lock, how)
        yield
