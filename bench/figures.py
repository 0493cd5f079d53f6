"""What a measurement hands back: figures with their spread, held against a peer or a bound."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

Name = TypeVar("Name")


@dataclass(frozen=True, slots=True)
class Spread:
    """Median, least and most of one value for each round."""

    median: float
    least: float
    most: float
    rounds: int

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Raises ValueError for no values."""
        held = list(values)
        if not held:
            raise ValueError("a spread needs at least one value")
        return cls(statistics.median(held), min(held), max(held), len(held))


@dataclass(frozen=True, slots=True)
class Bound:
    """What a judged value must keep."""

    side: Literal["at most", "at least"]
    limit: float

    def holds(self, value: float) -> bool:
        return value <= self.limit if self.side == "at most" else value >= self.limit


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the report. `judged` is what the bound is held against; None where there is no bound."""

    measurement: str
    subject: str
    unit: str
    ours: Spread
    peer: str = ""
    theirs: Spread | None = None
    ratio: Spread | None = None
    bound: Bound | None = None
    judged: float | None = None

    @property
    def fails(self) -> bool:
        return self.bound is not None and (self.judged is None or not self.bound.holds(self.judged))


def compared(
    names: tuple[str, str],
    unit: str,
    ours: Sequence[float],
    peer: tuple[str, Sequence[float]],
    bound: Bound | None,
) -> Row:
    """Ours divided by the peer's, round by round; judged is the median. `names` are measurement and subject."""
    measurement, subject = names
    ratio = Spread.of(mine / its for mine, its in zip(ours, peer[1], strict=True))
    judged = ratio.median if bound else None
    return Row(measurement, subject, unit, Spread.of(ours), peer[0], Spread.of(peer[1]), ratio, bound, judged)


def interleaved(rounds: int, subjects: Mapping[Name, Callable[[], float]]) -> dict[Name, list[float]]:
    """Run each subject once a round, one after the other, so that all of them meet the same weather."""
    measured: dict[Name, list[float]] = {name: [] for name in subjects}
    for _ in range(rounds):
        for name, run in subjects.items():
            measured[name].append(run())
    return measured
