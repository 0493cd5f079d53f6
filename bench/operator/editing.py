"""A burst of edits of one resource: how often the operator looks, and how soon the last edit is in force."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

from bench.figures import Bound, Row, Spread
from bench.operator import field
from bench.operator.field import Field
from bench.operator.installing import NAME
from bench.stage import Bench
from pier_operator import api
from pier_operator.api import Manifest

_EDITS: Final = 100
_WITHIN: Final = 1.0  # seconds, evenly
_FITS: Final = 1.1  # seconds that 100 edits may really take; more of them, and it is another question
_BOUND: Final = Bound("at most", 3.0)
_PLACE: Final = "editing"
_MARK: Final = "bench/edit"


def measure(bench: Bench) -> Iterator[Row]:
    """Each edit changes a child that no controller answers to, so a look that writes nothing is owed to an own echo.

    Rounds whose edits a busy machine has drawn out are left out, unless there are no others.
    """
    with field.working(bench) as here:
        here.namespace(_PLACE)
        here.cluster.create(_PLACE)
        here.cluster.wait_for(_PLACE, "DatabaseReady", "Starting")
        rounds = [_round(here, number) for number in range(bench.rounds)]
    rounds = [each for each in rounds if each["edits"] <= _FITS] or rounds
    subject = f"{_EDITS} edits of one resource"
    looks = Spread.of(each["edited"] for each in rounds)
    yield Row(NAME, f"{subject}: looks, own echoes not counted", "looks", looks, bound=_BOUND, judged=looks.most)
    for key, unit, words in (
        ("all", "looks", "all looks"),
        ("edits", "s", "the edits themselves"),
        ("force", "s", "until the last is in force"),
    ):
        yield Row(NAME, f"{subject}: {words}", unit, Spread.of(each[key] for each in rounds))


def _round(here: Field, number: int) -> dict[str, float]:
    """Each look that finds an edit writes that one child, once. One sender: several only wait for each other."""
    looks, writes = here.rested(), here.operator.writes()
    begin = time.monotonic()
    for edit in range(_EDITS):
        time.sleep(max(0.0, begin + edit * _WITHIN / _EDITS - time.monotonic()))
        annotations = {_MARK: f"{number}-{edit}"}
        here.cluster.change(_PLACE, spec={"expose": {"service": {"annotations": annotations}}})
    end = time.monotonic()
    last = f"{number}-{_EDITS - 1}"

    def holds(service: Manifest) -> bool:
        return api.annotations_of(service).get(_MARK) == last

    force = here.witness.moment(_PLACE, "Service", "pier", holds) - end
    looks = here.rested() - looks
    return {"edited": here.operator.writes() - writes, "all": looks, "edits": end - begin, "force": force}
