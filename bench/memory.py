"""What a 1 GiB layer does to the memory of the processes that it passes through."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from bench import images, layers, processes
from bench.figures import Bound, Row, Spread
from bench.images import Image
from bench.stage import Bench, door, serving

NAME: Final = "memory"
_SIZE: Final = 1024 * layers.MIB
_BOUND: Final = Bound("at most", 64.0)
_KINDS: Final = ("gunicorn worker", "nginx worker")


def measure(bench: Bench) -> Iterator[Row]:
    """Growth over what each worker held when the registry had just started; judged is the worst of all rounds."""
    large = Image.of(layers.layer(_SIZE))
    grown: dict[tuple[str, str], list[float]] = {}
    with serving(bench, "memory") as running:
        here = door(running)
        watched = _watched(running.process.pid if running.process else 0)
        before = {worker.pid: processes.anonymous(worker.pid) for worker in watched}
        for _ in range(bench.rounds):
            for way, transfer in (("up", images.push), ("down", images.pull)):
                growth = _growth(watched, before, partial(transfer, bench.client, here, large))
                for kind, most in growth.items():
                    grown.setdefault((way, kind), []).append(most)
            images.delete(bench.client, here)
    for (way, kind), values in grown.items():
        spread = Spread.of(values)
        yield Row(NAME, f"1 GiB layer {way}, {kind}", "MiB grown", spread, bound=_BOUND, judged=spread.most)


def _watched(root: int) -> list[processes.Worker]:
    watched = processes.workers(root)
    missing = [kind for kind in _KINDS if not any(worker.kind == kind for worker in watched)]
    assert not missing, f"no {missing} among the processes of the registry: their memory cannot be told"
    return watched


def _growth(
    watched: list[processes.Worker], before: dict[int, int], transfer: Callable[[], object]
) -> dict[str, float]:
    """MiB by kind: of the worker that grew most."""
    with processes.peaks(watched) as most:
        transfer()
    return {
        kind: max((most[worker.pid] - before[worker.pid]) / layers.MIB for worker in watched if worker.kind == kind)
        for kind in _KINDS
    }
