"""Two hundred registries at once: how long until all are told of, and what the operator then weighs."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bench.client import Unexpected
from bench.figures import Bound, Row, Spread
from bench.operator import field
from bench.operator.field import Field
from bench.operator.installing import NAME
from bench.operator.witness import Holds
from bench.stage import Bench
from pier_operator import api
from pier_operator.api import Manifest
from tests.operator.cluster import UNGATED, eventually

_REGISTRIES: Final = 200
_PATIENCE: Final = 600.0  # seconds
_SOON: Final = Bound("at most", 300.0)
_LIGHT: Final = Bound("at most", 150.0)
_NONE: Final = Bound("at most", 0.0)
_MB: Final = 1e6


def measure(bench: Bench) -> Iterator[Row]:
    """One round, whatever was asked for, with a namespace for each; afterwards a kubelet is played for all."""
    with field.working(bench) as here:
        yield from _created(here)
        yield from _restarted(here)
        yield from _with_pods(here)


def _created(here: Field) -> Iterator[Row]:
    places = [here.namespace(f"many-{number}") for number in range(_REGISTRIES)]
    begin = time.monotonic()
    for place in places:
        here.cluster.create(place)
    seconds = _until_all(here, begin, field.is_told)
    _are_there(here, places)
    looks = here.rested()
    yield _row("until all children are there and every status told", "s", seconds, _SOON)
    yield _row("looks at each until rest", "looks", looks / _REGISTRIES, None)
    yield from _weighed(here, "without pods")


def _restarted(here: Field) -> Iterator[Row]:
    """Nothing has changed, so a new process looks at each once and writes nothing."""
    here.operator.stop()
    begin = time.monotonic()
    here.start()
    eventually(lambda: here.looks() >= _REGISTRIES, _PATIENCE)
    yield _row("restart of the operator: until it has looked at each", "s", time.monotonic() - begin, None)
    here.rested()
    yield _row("restart of the operator: writes", "requests", here.operator.writes(), _NONE)
    yield from _weighed(here, "restarted")


def _with_pods(here: Field) -> Iterator[Row]:
    here.cluster.node.start()
    _until_all(here, time.monotonic(), _is_available)
    yield from _weighed(here, "with pods")


def _weighed(here: Field, when: str) -> Iterator[Row]:
    """Now, and the most since the process began."""
    for what, words in (("VmRSS", "resident memory"), ("VmHWM", "most resident memory so far")):
        yield _row(f"{words}, {when}", "MB", _resident(here, what), _LIGHT)


def _row(subject: str, unit: str, value: float, bound: Bound | None) -> Row:
    return Row(NAME, f"{_REGISTRIES} registries: {subject}", unit, Spread.of([value]), bound=bound, judged=value)


def _until_all(here: Field, begin: float, holds: Holds) -> float:
    """Seconds until it holds for each; a status is written when all children are made."""
    while True:
        good = sum(map(holds, here.cluster.kube.every(api.PIER_REGISTRY)))
        seconds = time.monotonic() - begin
        if good == _REGISTRIES:
            return seconds
        if seconds > _PATIENCE:
            raise Unexpected(f"only {good} of {_REGISTRIES} registries have come so far after {seconds:.0f} s")
        time.sleep(1)


def _is_available(manifest: Manifest) -> bool:
    conditions = (manifest.get("status") or {}).get("conditions", [])
    return any(each["type"] == "RegistryAvailable" and each["status"] == "True" for each in conditions)


def _are_there(here: Field, places: list[str]) -> None:
    """Raises Unexpected when a status was told too early."""
    found = Counter(
        each["metadata"]["namespace"]
        for kind in api.BUILT_IN
        for each in here.cluster.kube.every(kind, selector=api.REGISTRY)
        if (kind.name, api.name_of(each)) in UNGATED
    )
    lacking = [place for place in places if found[place] != len(UNGATED)]
    if lacking:
        raise Unexpected(f"the status was told before all children were there: {lacking[:5]}")


def _resident(here: Field, what: str) -> float:
    """VmRSS now, or VmHWM ever, of the operator's process; in MB."""
    process = here.operator.process
    assert process, "the operator has ended"
    for line in Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(f"{what}:"):
            return int(line.split()[1]) * 1024 / _MB
    raise Unexpected(f"the kernel does not tell {what}")
