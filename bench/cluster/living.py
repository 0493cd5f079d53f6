"""What clients notice, who never try anything twice, while things happen to a registry."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from bench.cluster import field
from bench.cluster.field import NAME
from bench.figures import Bound, Row, Spread
from bench.stage import Bench
from tests.cluster import events
from tests.cluster.registry import Registry
from tests.cluster.traffic import Traffic

Event = Callable[[Registry], Traffic]

_UNNOTICED: Final[Mapping[str, Event]] = {
    "upgrade of operator and registry": events.upgrade,
    "new certificate by a new CA": events.renewal,
    "change of users": events.change_of_users,
    "kill of the operator": events.kill_of_the_operator,
}
_WAITING: Final[Mapping[str, Event]] = {
    "kill of the database": events.kill_of_the_database,
    "rotation of the database's password": events.rotation_of_the_password,
}
_NONE: Final = Bound("at most", 0.0)
_SOON: Final = Bound("at most", 15.0)


def measure(bench: Bench) -> Iterator[Row]:
    """Once, whatever rounds were asked for: one event after the other, each when the registry is ready again."""
    with field.installed(bench) as here, here.ready("living") as registry:
        for what, happen in _UNNOTICED.items():
            seen = _during(happen, registry)
            yield _row(f"{what}: failed", seen, len(seen.failures), _NONE)
        for what, happen in _WAITING.items():
            seen = _during(happen, registry)
            other = len(events.beside_waiting(seen))
            yield _row(f"{what}: failed otherwise than by 503 with Retry-After", seen, other, _NONE)
            yield _row(f"{what}: told to wait", seen, len(seen.failures) - other, None)
            span = seen.span()
            subject = f"{what}: first to last failure"
            yield Row(NAME, subject, "s", Spread.of([span]), bound=_SOON, judged=span)


def _during(happen: Event, registry: Registry) -> Traffic:
    seen = happen(registry)
    registry.wait()
    return seen


def _row(subject: str, seen: Traffic, failed: int, bound: Bound | None) -> Row:
    unit = f"of {seen.requests:,} requests"
    return Row(NAME, subject, unit, Spread.of([failed]), bound=bound, judged=failed)
