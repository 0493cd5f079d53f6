"""`python -m bench`: all measurements, one table, a file with the same figures in build/bench."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

import click
from rich.console import Console

from bench import client, deleting, downloading, machine, memory, reading, uploading, writing
from bench.client import Unexpected
from bench.cluster import installing as cluster_installing
from bench.cluster import living as cluster_living
from bench.cluster import pushing as cluster_pushing
from bench.cluster import resting as cluster_resting
from bench.figures import Row
from bench.operator import editing, installing, many, resting
from bench.programs import Unprepared
from bench.report import Report
from bench.stage import Bench
from bench.v2 import distance, images, transferring
from bench.v2 import reading as v2_reading
from tests.parts.cache import PartMissing

Measure = Callable[[Bench], Iterator[Row]]

MEASUREMENTS: Final[dict[str, Measure]] = {
    "reading": reading.measure,
    "memory": memory.measure,
    "uploading": uploading.measure,
    "downloading": downloading.measure,
    "deleting": deleting.measure,
    "writing": writing.measure,
    "v2-reading": v2_reading.measure,
    "v2-transferring": transferring.measure,
    "v2-images": images.measure,
    "v2-distance": distance.measure,
    "operator-installing": installing.measure,
    "operator-resting": resting.measure,
    "operator-editing": editing.measure,
    "operator-many": many.measure,
    "cluster-installing": cluster_installing.measure,
    "cluster-pushing": cluster_pushing.measure,
    "cluster-resting": cluster_resting.measure,
    "cluster-living": cluster_living.measure,
}
_WIDE: Final = 150
_SPACE: Final = 8 << 30
_DISK: Final = "/var/tmp"  # on a disk where /tmp may be memory


@click.command()
@click.option("--only", multiple=True, type=click.Choice(list(MEASUREMENTS)), help="Take this measurement; repeatable.")
@click.option("--rounds", type=click.IntRange(1, 100), default=7, show_default=True, help="Interleaved rounds of each.")
@click.option("--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
@click.option("--check", is_flag=True, help="Exit with 1 when a bound is missed.")
@click.option(
    "--folder", type=click.Path(path_type=Path), default=_DISK, show_default=True, help="The disk to measure on."
)
def main(only: tuple[str, ...], rounds: int, output: str, check: bool, folder: Path) -> None:
    """Measure a running Pier beside peers and bounds, and print the ratios."""
    progress = Console(stderr=True, highlight=False)
    try:
        report = _measured(only or tuple(MEASUREMENTS), rounds, folder, progress)
    except (Unprepared, Unexpected, PartMissing) as wrong:
        progress.print(f"bench: {wrong}", markup=False)
        sys.exit(2)
    saved = report.save()
    if output == "json":
        print(report.as_json())
    else:
        report.show(Console(width=None if sys.stdout.isatty() else _WIDE))
    progress.print(f"saved in {saved}", markup=False)
    sys.exit(1 if check and report.fails else 0)


def _measured(names: tuple[str, ...], rounds: int, disk: Path, progress: Console) -> Report:
    if shutil.disk_usage(disk).free < _SPACE:
        raise Unprepared(f"{disk} has less than {_SPACE >> 30} GiB free: name another disk with --folder")
    report = Report(datetime.now().astimezone(), machine.Machine.here(), rounds)
    with client.running() as asking:
        for name in names:
            with tempfile.TemporaryDirectory(prefix="pier-bench-", dir=disk) as folder:
                _take(report, name, Bench(rounds, Path(folder), asking), progress)
    return report


def _take(report: Report, name: str, bench: Bench, progress: Console) -> None:
    progress.print(f"{name} ...", markup=False)
    report.occupied[name] = machine.occupied()
    begin = time.monotonic()
    report.rows += MEASUREMENTS[name](bench)
    report.seconds[name] = round(time.monotonic() - begin, 1)


if __name__ == "__main__":
    main()
