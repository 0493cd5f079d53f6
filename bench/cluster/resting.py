"""What the pods hold for themselves when nothing has happened for a while."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

from bench.cluster import field
from bench.cluster.field import NAME
from bench.cluster.pushing import LAYERS, SIZE, Crane
from bench.figures import Bound, Row, Spread
from bench.stage import Bench
from bench.v2 import layout
from tests.clients.programs import CRANE
from tests.cluster.hosts import client_of

_IDLE: Final = 300.0  # seconds
_OPERATOR: Final = Bound("at most", 100.0)
_REGISTRY: Final = Bound("at most", 150.0)
_MB: Final = 1e6


def measure(bench: Bench) -> Iterator[Row]:
    """Once, whatever rounds were asked for: one push, and five minutes later the figures of all pods together."""
    image = layout.image(LAYERS, SIZE)
    with field.installed(bench) as here, here.ready("resting") as registry:
        with client_of(CRANE, registry) as client:
            Crane(client, image, bench.folder / "pulled").push(registry.host, "bench/kept")
        time.sleep(_IDLE)
        (operator,) = here.operators
        (server,), (database,) = registry.pods("registry"), registry.pods("database")
        held = {pod: here.anonymous(each) for pod, each in (("operator", operator), ("registry", server))}
        stored = here.anonymous(database)
    yield _row("operator pod", held["operator"], _OPERATOR)
    yield _row("registry pod", held["registry"], _REGISTRY)
    for name in held["registry"]:
        yield _row(f"registry pod, container {name} alone", {name: held["registry"][name]}, None)
    yield _row("database pod", stored, None)


def _row(subject: str, held: dict[str, int], bound: Bound | None) -> Row:
    """The sum of these containers."""
    value = sum(held.values()) / _MB
    words = f"memory {_IDLE / 60:.0f} min after a push of {LAYERS * SIZE / 1e6:.0f} MB: {subject}"
    return Row(NAME, words, "MB", Spread.of([value]), bound=bound, judged=value)
