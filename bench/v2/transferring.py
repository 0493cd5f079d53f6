"""A blob of 100 MiB down and up, beside nginx with the same file and the other registries."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import count
from typing import Final, get_args

from bench import layers, peer
from bench.client import Door
from bench.figures import Bound, Row, compared, interleaved
from bench.stage import Bench
from bench.v2 import field, requests
from bench.v2.field import PIER, Field, Subjects
from bench.v2.requests import Blob, Way

_SIZE: Final = 100 * layers.MIB
_REPOSITORY: Final = "bench/large"
_STATIC: Final = Bound("at least", 0.95)
_PUSH: Final = Bound("at least", 1.0)
_PULLS: Final = 12  # of one turn: a single one is over in a tenth of a second, and differs by a third from the next


def measure(bench: Bench) -> Iterator[Row]:
    """Durable when pushed, from the page cache when pulled; logged in at cost 5."""
    blob = Blob.of(layers.layer(_SIZE, largest=layers.MIB))
    with field.gathered(bench, "large") as here:
        doors = here.at_cost(5)
        for door in doors.values():
            requests.push_blob(bench.client, door, _REPOSITORY, blob, "chunked")
        yield from _pulls(bench, here, blob)
        requests.delete_blob(bench.client, doors[PIER], _REPOSITORY, blob)
        yield from _pushes(bench, here, blob)


def _pulls(bench: Bench, here: Field, blob: Blob) -> Iterator[Row]:
    (stored,) = (file for file in (here.pier.data / "layers").rglob("*") if file.is_file())
    files = peer.Files(stored, here.pier.data / "users.htpasswd")
    mib = blob.size / layers.MIB * _PULLS

    def pulled(door: Door) -> float:
        return mib / requests.pull_blob(bench.client, door, _REPOSITORY, blob, _PULLS)

    with peer.running(bench.folder / "static", here.pier, files) as bare:

        def served(path: str = "/open") -> float:
            return mib / bench.client.ask(bare, "GET", path, count=_PULLS).seconds

        static = ("pull", "nginx")
        subjects: Subjects = field.per_door("pull", here.at_cost(5), pulled) | {static: served}
        interleaved(1, subjects)
        measured = interleaved(bench.rounds, subjects)
    names = "v2 pull", f"blob of {blob.size / layers.MIB:.0f} MiB"
    ours = measured["pull", PIER]
    yield compared(names, "MiB/s", ours, ("nginx, static file", measured.pop(static)), _STATIC)
    yield from field.against_each(names, "MiB/s", measured, "pull", None)


def _pushes(bench: Bench, here: Field, blob: Blob) -> Iterator[Row]:
    """Each time into a new repository, where nothing is known to be there, and gone again afterwards."""
    numbers = count()

    def pushed(way: Way, door: Door) -> float:
        repository = f"{_REPOSITORY}{next(numbers)}"
        seconds = requests.push_blob(bench.client, door, repository, blob, way)
        requests.delete_blob(bench.client, door, repository, blob)
        return blob.size / layers.MIB / seconds

    subjects: Subjects = {}
    for way in get_args(Way):
        subjects |= field.per_door(way, here.at_cost(5), partial(pushed, way))
    interleaved(1, subjects)
    measured = interleaved(bench.rounds, subjects)
    for way in get_args(Way):
        names = "v2 push", f"blob of {blob.size / layers.MIB:.0f} MiB, {way}"
        yield from field.against_each(names, "MiB/s", measured, way, _PUSH)
