"""One upload by a client that is 20 ms away, over HTTP/1.1 and HTTP/2."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from itertools import count
from typing import Final

from bench import delaying, layers
from bench.client import Door
from bench.figures import Row, interleaved
from bench.stage import Bench
from bench.v2 import field, requests
from bench.v2.field import Subjects
from bench.v2.requests import Blob

_SIZE: Final = 100 * layers.MIB
_ROUND_TRIP: Final = 20  # milliseconds
_PROTOCOLS: Final = {"HTTP/1.1": False, "HTTP/2": True}


def measure(bench: Bench) -> Iterator[Row]:
    """POST, one PATCH in chunks, PUT, over connections that are there already; logged in at cost 5."""
    blob = Blob.of(layers.layer(_SIZE, largest=layers.MIB))
    numbers = count()

    def pushed(door: Door) -> float:
        repository = f"bench/far{next(numbers)}"
        seconds = requests.push_blob(bench.client, door, repository, blob, "chunked")
        requests.delete_blob(bench.client, door, repository, blob)
        return blob.size / layers.MIB / seconds

    with field.gathered(bench, "far") as here, ExitStack() as stack:
        doors = {name: stack.enter_context(delaying.far(door, _ROUND_TRIP)) for name, door in here.at_cost(5).items()}
        subjects: Subjects = {}
        for protocol, http2 in _PROTOCOLS.items():
            spoken = {name: replace(door, http2=http2) for name, door in doors.items()}
            subjects |= field.per_door(protocol, spoken, pushed)
        interleaved(1, subjects)
        measured = interleaved(bench.rounds, subjects)
    for protocol in _PROTOCOLS:
        names = "v2 far push", f"blob of {blob.size / layers.MIB:.0f} MiB, {_ROUND_TRIP} ms round trip, {protocol}"
        yield from field.against_each(names, "MiB/s", measured, protocol, None)
