"""`pier fsck [--repair] [--digests]`: do rows, counts and files agree?"""

from __future__ import annotations

import sys

import click
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from pier_registry.actions import fsck as checking
from pier_registry.actions.fsck import Report
from pier_registry.actions.registry import Registry
from pier_registry.cli import output as out
from pier_registry.cli.data import opened


@click.command()
@click.option("--repair", is_flag=True, help="Mend what can be mended without losing anything.")
@click.option("--digests", is_flag=True, help="Read every byte and compare it with its digest.")
@out.choice
def fsck(repair: bool, digests: bool, output: str) -> None:
    """Check counts, rows and files against each other. Exit code 1 when something is wrong and not mended."""
    with opened() as registry:
        report = _watched(registry, repair, digests) if sys.stderr.isatty() else _run(registry, repair, digests)
    _print(report, output)
    sys.exit(0 if report.clean else 1)


def _run(registry: Registry, repair: bool, digests: bool) -> Report:
    return checking.run(registry, repair=repair, digests=digests)


def _watched(registry: Registry, repair: bool, digests: bool) -> Report:
    columns = (SpinnerColumn(), TextColumn("{task.description} {task.completed}"), TimeElapsedColumn())
    with Progress(*columns, console=out.stderr(), transient=True) as progress:
        tasks = {step: progress.add_task(step, total=None) for step in ("counts", "holders", "layers", "files")}
        return checking.run(
            registry, repair=repair, digests=digests, progress=lambda step, n: progress.advance(tasks[step], n)
        )


def _print(report: Report, form: str) -> None:
    if form == "json":
        out.as_json(report.as_json())
        return
    console = out.console()
    if report.findings:
        table = out.table("", "kind", "what", "detail", "mended")
        for finding in report.findings:
            table.add_row(finding.kind, finding.what, finding.detail, "yes" if finding.mended else "no")
        console.print(table)
    verdict = "clean" if not report.findings else ("mended" if report.clean else "not clean: run pier fsck --repair")
    console.print(f"{report.layers} layers, {report.files} files, freed {out.human(report.freed_bytes)}: {verdict}")
