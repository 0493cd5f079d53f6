"""What every measurement is given, and the registries that it starts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.client import Client, Door
from tests.parts.registry import Running, registry


@dataclass(frozen=True, slots=True)
class Bench:
    """`folder` is empty at first, on the disk that layers are written to."""

    rounds: int
    folder: Path
    client: Client


def door(running: Running) -> Door:
    """As admin, whose password costs as much as everybody's."""
    return Door(running.url, running.ca, "admin", running.password)


@contextmanager
def serving(bench: Bench, name: str, **settings: object) -> Iterator[Running]:
    with registry(bench.folder / name, **settings) as running:
        yield running
