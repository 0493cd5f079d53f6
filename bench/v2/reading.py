"""A manifest and a blob of 1 KiB, read by users of both costs, beside others with and without any login."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from statistics import fmean
from typing import Final

from bench import layers
from bench.client import Door
from bench.figures import Bound, Row, interleaved
from bench.stage import Bench
from bench.v2 import field, requests
from bench.v2.field import PIER, Field, Subjects
from bench.v2.requests import Blob

_REPOSITORY: Final = "bench/small"
_SIZE: Final = 1024
_WARM: Final = 2
_TURNS: Final = 2  # of a round
_OPEN: Final = "no login"
_ASKING: Final = {"Accept": requests.MANIFEST}  # distribution gives manifests to nobody else
_VARIANTS: Final = ("cost 5", "cost 10", _OPEN)
_TURN: Final = 200  # requests
_BOUNDS: Final = {
    ("manifest", "cost 5"): Bound("at least", 3.0),
    ("manifest", _OPEN): Bound("at least", 1.0),
    ("blob of 1 KiB", "cost 5"): Bound("at least", 4.0),
}


def measure(bench: Bench) -> Iterator[Row]:
    """Requests a second of one client and of eight, over kept connections. Pier's figure always includes its login."""
    config = _config(bench)
    layer = Blob.of(layers.layer(layers.MIB))
    paths = {
        "manifest": f"/v2/{_REPOSITORY}/manifests/latest",
        "blob of 1 KiB": f"/v2/{_REPOSITORY}/blobs/{config.digest}",
    }
    with field.gathered(bench, "small", unguarded=True) as here:
        for door in here.at_cost(5).values():
            for blob in (config, layer):
                requests.push_blob(bench.client, door, _REPOSITORY, blob, "chunked")
            requests.push_manifest(bench.client, door, _REPOSITORY, "latest", requests.manifest(config, layer))
        for what, path in paths.items():
            for clients in (1, 8):
                yield from _rows(bench, here, what, path, clients)


def _config(bench: Bench) -> Blob:
    """Most small blobs are the configs of images."""
    told = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}, "author": ""}
    told["author"] = "x" * (_SIZE - len(json.dumps(told)))
    return Blob.written(bench.folder / "config", json.dumps(told).encode())


def _rows(bench: Bench, here: Field, what: str, path: str, clients: int) -> Iterator[Row]:
    rates = _measured(bench, here, path, clients)
    for variant in _VARIANTS:
        subject = f"{clients} client{'s' if clients > 1 else ''}, {variant}"
        names = f"v2 {what}", f"{subject} for them" if variant == _OPEN else subject
        yield from field.against_each(names, "requests/s", rates, variant, _BOUNDS.get((what, variant)))


def _measured(bench: Bench, here: Field, path: str, clients: int) -> dict[field.Subject, list[float]]:
    """A round is a few turns of everybody, so that other work on the machine meets all alike."""

    def seconds_each(variant: str, door: Door) -> float:
        count = _TURN if variant != "cost 10" or door.url == here.pier.url else max(2, clients)
        answer = bench.client.ask(door, "GET", path, count=count, clients=clients, headers=_ASKING)
        return answer.seconds / count

    subjects: Subjects = {}
    for variant in _VARIANTS:
        subjects |= field.per_door(variant, _doors(here, variant), partial(seconds_each, variant))
    for _ in range(_WARM):
        interleaved(1, subjects)
    rounds = [interleaved(_TURNS, subjects) for _ in range(bench.rounds)]
    return {subject: [1 / fmean(one[subject]) for one in rounds] for subject in subjects}


def _doors(here: Field, variant: str) -> dict[str, Door]:
    """The registry has no way to leave the login out, so it keeps it."""
    if variant == _OPEN:
        return {PIER: here.at_cost(5)[PIER], **here.open}
    return here.at_cost(int(variant.removeprefix("cost ")))
