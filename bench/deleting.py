"""Deleting a tag of a repository of 10,000 tags, beside one of 10, each in a registry and database of its own."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Final

from bench import layers
from bench.client import Door, Unexpected
from bench.figures import Bound, Row, Spread
from bench.seeding import Seeded, seeded
from bench.stage import Bench, door, serving
from bench.tags import ImageTags
from bench.v2.tags import ManifestTags
from tests.parts import mariadb

NAME: Final = "delete"
_BOUND: Final = Bound("at most", 1.5)
_FEW: Final = 10
_MANY: Final = 10_000
_PER_ROUND: Final = 6
_KINDS: Final[dict[str, type[Seeded]]] = {"v1": ImageTags, "v2": ManifestTags}

Side = tuple[Door, Seeded]


def measure(bench: Bench) -> Iterator[Row]:
    """Each tag alone holds an image with a layer of 1 MiB above a base that all share; judged: the ratio of medians.

    The bytes are gone when the answer is there, which is looked at.
    """
    with mariadb.running() as server:
        for protocol in _KINDS:
            yield _on(bench, protocol, "SQLite", {})
            urls = {
                count: {"database_url": server.create_database(f"{protocol}tags{count}")} for count in (_FEW, _MANY)
            }
            yield _on(bench, protocol, f"MariaDB {mariadb.version().split('-')[0]}", urls)


def _on(bench: Bench, protocol: str, database: str, settings: dict[int, dict[str, str]]) -> Row:
    layer = layers.layer(layers.MIB)
    with ExitStack() as stack:
        sides: list[Side] = []
        for count in (_FEW, _MANY):
            name = f"{protocol}-{database.partition(' ')[0].lower()}-{count}"
            running = stack.enter_context(serving(bench, name, **settings.get(count, {})))
            sides.append((door(running), stack.enter_context(seeded(_KINDS[protocol], running, layer, count))))
        few, many = _timed(bench, sides)
    ratio = Spread.of(large / small for small, large in zip(few, many, strict=True))
    ratio = replace(ratio, median=statistics.median(many) / statistics.median(few))
    peer, subject = f"of {_FEW}", f"one {protocol} tag of {_MANY:,}, bytes gone, {database}"
    return Row(NAME, subject, "ms", Spread.of(many), peer, Spread.of(few), ratio, _BOUND, ratio.median)


def _timed(bench: Bench, sides: list[Side]) -> tuple[list[float], list[float]]:
    """The median of each round, in milliseconds, for both sides; the first deletes warm up."""
    medians: tuple[list[float], list[float]] = ([], [])
    for number in range(bench.rounds + 1):
        each: tuple[list[float], list[float]] = ([], [])
        for turn in range(_PER_ROUND):
            for kept, (here, tags) in zip(each, sides, strict=True):
                kept.append(_delete(bench, here, tags, number * _PER_ROUND + turn))
        if number:
            for whole, kept in zip(medians, each, strict=True):
                whole.append(statistics.median(kept))
    return medians


def _delete(bench: Bench, here: Door, tags: Seeded, turn: int) -> float:
    name = tags.doomed(turn)
    answer = bench.client.ask(here, "DELETE", tags.address(name), status=tags.answered)
    if tags.file(name).exists():
        raise Unexpected(f"{tags.address(name)} is deleted, and {tags.file(name)} is still there")
    tags.refill(name)
    return answer.seconds * 1000
