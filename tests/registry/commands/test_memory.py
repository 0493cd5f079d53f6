"""A registry at rest: what all workers need is in memory once, and what keeps watch over them is small."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts.registry import Running, registry


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with registry(tmp_path_factory.mktemp("memory") / "data", workers=2) as made:
        yield made


def test_workers_share_the_application(running: Running) -> None:
    assert running.process
    (serving,) = (child for child in _children(running.process.pid) if "pier_registry.serving" in _command(child))
    workers = _children(serving)
    assert len(workers) == 2
    for worker in workers:
        held = _memory(worker)
        assert held["Private_Dirty"] < held["Anonymous"] / 2


def test_the_supervisor_holds_no_application(running: Running) -> None:
    assert running.process
    (serving,) = (child for child in _children(running.process.pid) if "pier_registry.serving" in _command(child))
    assert _memory(running.process.pid)["Anonymous"] < _memory(serving)["Anonymous"] * 2 / 3


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")


def _memory(pid: int) -> dict[str, int]:
    """By kind, in KiB."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    return {name.rstrip(":"): int(size) for name, size, _ in map(str.split, lines)}
