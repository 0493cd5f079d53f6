"""From the apply of a registry behind the Ingress until it says that it is ready."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

import httpx

from bench.cluster import field
from bench.cluster.field import NAME, Field
from bench.figures import Bound, Row, Spread
from bench.stage import Bench
from tests.cluster.conftest import behind_ingress
from tests.cluster.registry import Registry
from tests.operator.cluster import eventually

_ROUNDS: Final = 3  # a round takes its minute, most of which is the deletion
_SOON: Final = Bound("at most", 60.0)
_READY, _ANSWERED = "until READY is True", "until a login through the Ingress is answered"


def measure(bench: Bench) -> Iterator[Row]:
    """All images are on the node. At most three rounds, each in a namespace of its own; judged is the worst."""
    with field.installed(bench) as here:
        rounds = [_round(here) for _ in range(min(bench.rounds, _ROUNDS))]
        yield Row(NAME, "helm install, until the operator is ready", "s", Spread.of([here.seconds]))
    for what, bound in ((_READY, _SOON), (_ANSWERED, None)):
        spread = Spread.of(each[what] for each in rounds)
        yield Row(NAME, f"apply of a registry behind an Ingress: {what}", "s", spread, bound=bound, judged=spread.most)


def _round(here: Field) -> dict[str, float]:
    """Seconds since the apply."""
    with here.registry("installing") as registry:
        begin = time.monotonic()
        registry.create(**behind_ingress(field.HOST))
        registry.wait()
        ready = time.monotonic() - begin
        eventually(lambda: _answers(registry), 60, registry.told)
        return {_READY: ready, _ANSWERED: time.monotonic() - begin}


def _answers(registry: Registry) -> bool:
    try:
        with registry.client() as client:
            return client.get("/v2/").status_code == 200
    except httpx.TransportError:
        return False
