"""A look at a registry that nothing has happened to."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bench.figures import Bound, Row, Spread
from bench.operator import audit, field
from bench.operator.audit import AuditedPlane, Request
from bench.operator.field import Field
from bench.operator.installing import NAME
from bench.stage import Bench
from pier_operator.api import PIER_REGISTRY
from tests.operator.cluster import eventually

_NONE: Final = Bound("at most", 0.0)
_PLACE: Final = "resting"
_GIVEN: Final = "given"  # a Secret of the user, without our label
_SPEC: Final = {"auth": {"users": [{"name": "ann", "passwordSecretRef": {"name": _GIVEN}}]}}
_SETTLED: Final = 20.0  # seconds after its start, within which the operator lists everything a second time
_EXPECTED: Final = {(PIER_REGISTRY.plural, "pier"), ("secrets", _GIVEN)}


def measure(bench: Bench) -> Iterator[Row]:
    """Of a registry that is Ready and takes pushes; judged is the worst of all rounds."""
    with field.working(bench, AuditedPlane) as here:
        settled = time.monotonic() + _SETTLED
        here.cluster.node.start()
        here.cluster.node.served.add(here.namespace(_PLACE))
        here.cluster.make_secret(_PLACE, _GIVEN, password="of-ann-and-nobody-else")
        here.cluster.create(_PLACE, spec=_SPEC)
        here.cluster.wait_for(_PLACE, "Ready", "Ready", within=60)
        time.sleep(max(0.0, settled - time.monotonic()))
        log = bench.folder / "plane" / "audit.log"
        rounds = [_round(here, log, number) for number in range(bench.rounds)]
    for key, bound in (("writes", _NONE), ("reads of anything else", _NONE), ("reads", None), ("looks", None)):
        yield _row(key, Spread.of(each[key] for each in rounds), bound)


def _row(key: str, spread: Spread, bound: Bound | None) -> Row:
    words = {
        "reads": "reads of the resource and the user's own Secret",
        "looks": "looks after one touch of the resource",
    }
    unit = "looks" if key == "looks" else "requests"
    return Row(NAME, f"no-change look: {words.get(key, key)}", unit, spread, bound=bound, judged=spread.most)


def _round(here: Field, log: Path, number: int) -> dict[str, float]:
    """An annotation of no meaning makes the operator look."""
    before, begin = here.rested(), log.stat().st_size
    here.cluster.change(_PLACE, metadata={"annotations": {"look": str(number)}})
    eventually(lambda: here.looks() > before)
    looks = here.rested() - before
    asked = audit.requests(log, begin)
    read = [each for each in asked if each.reads]
    return {
        "looks": looks,
        "writes": len(asked) - len(read),
        "reads": sum(map(_is_expected, read)),
        "reads of anything else": sum(not _is_expected(each) for each in read),
    }


def _is_expected(request: Request) -> bool:
    return request.verb == "get" and (request.resource, request.name) in _EXPECTED
