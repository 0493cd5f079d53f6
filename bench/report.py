"""The report: one table for people, one JSON document for comparing, the same figures in both."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import datetime
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from bench.figures import Row, Spread
from bench.machine import Machine

_BUSY: Final = 0.2  # cores at work for others from which figures do not count
FOLDER: Final = Path(__file__).parent.parent / "build" / "bench"


@dataclass(slots=True)
class Report:
    """`occupied` is how many cores others had at work before each measurement, `seconds` what each took."""

    date: datetime
    machine: Machine
    rounds: int
    rows: list[Row] = field(default_factory=list)
    occupied: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def fails(self) -> bool:
        return any(row.fails for row in self.rows)

    def as_json(self) -> str:
        whole: dict[str, Any] = asdict(self) | {"date": self.date.isoformat(timespec="seconds")}
        whole["rows"] = [asdict(row) | {"fails": row.fails} for row in self.rows]
        return json.dumps(whole, indent=2)

    def save(self) -> Path:
        FOLDER.mkdir(parents=True, exist_ok=True)
        path = FOLDER / f"{self.date:%Y-%m-%dT%H%M%S}.json"
        path.write_text(self.as_json() + "\n", encoding="utf-8")
        return path

    def show(self, console: Console) -> None:
        console.print(self._table())
        for line in self._remarks():
            console.print(line, markup=False, highlight=False)

    def _table(self) -> Table:
        title = f"Pier, {self.date:%Y-%m-%d %H:%M}: median (least to most) of {self.rounds} rounds"
        table = Table(title=title, title_justify="left")
        for heading in ("what", "Pier", "beside", "its figure", "ratio", "bound"):
            table.add_column(heading, overflow="fold", justify="right" if heading in _NUMBERS else "left")
        for row, below in zip_longest(self.rows, self.rows[1:]):
            ends = below is not None and below.measurement != row.measurement
            table.add_row(*_cells(row), style="bold red" if row.fails else "", end_section=ends)
        return table

    def _remarks(self) -> list[str]:
        machine = self.machine
        lines = [
            f"{machine.processor}, {machine.cores} cores, {machine.memory_gib} GiB, Linux {machine.kernel}, "
            f"Python {machine.python}, nginx {machine.nginx}, Pier {machine.commit}",
            "cores at work for others before each: "
            + ", ".join(f"{name} {cores:g}" for name, cores in self.occupied.items()),
        ]
        if any(cores > _BUSY for cores in self.occupied.values()):
            lines.append("other work ran on this machine, so these figures do not count: run again when it is idle")
        return lines


_NUMBERS: Final = ("Pier", "its figure", "ratio")


def _cells(row: Row) -> list[str]:
    return [
        f"{row.measurement}: {row.subject}",
        _spread(row.ours, row.unit),
        row.peer,
        _spread(row.theirs, row.unit),
        _spread(row.ratio, ""),
        _verdict(row),
    ]


def _verdict(row: Row) -> str:
    if row.bound is None:
        return ""
    return f"{row.bound.side} {row.bound.limit:g}: {'MISSED' if row.fails else 'kept'}"


def _spread(spread: Spread | None, unit: str) -> str:
    if spread is None:
        return ""
    return f"{_number(spread.median)} {unit}".rstrip() + f" ({_number(spread.least)} to {_number(spread.most)})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
