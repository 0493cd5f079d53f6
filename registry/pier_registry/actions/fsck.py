"""Check that rows, counts and files agree, and mend what can be mended without losing anything.

Counts are set to what their edges say; unheld rows go; files that no row knows go once they are old enough not to
belong to a running push; a layer whose file is missing or wrong is marked lost, and heals when the same bytes are
pushed again.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from pier_registry.actions import files
from pier_registry.actions.registry import Registry
from pier_registry.metadata import events, layers, outbox, recount, refcounts, uploads
from pier_registry.metadata.layers import Layer
from pier_registry.metadata.refcounts import Released
from pier_registry.metadata.session import Transaction
from pier_registry.names import Digest, layer_path

Progress = Callable[[str, int], None]
_PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class Finding:
    """One disagreement; `kind` is a word of docs/operate.md, `mended` what `--repair` did about it."""

    kind: str
    what: str
    detail: str
    mended: bool


@dataclass(slots=True)
class Report:
    layers: int = 0
    files: int = 0
    freed_bytes: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return all(finding.mended for finding in self.findings)

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"clean": self.clean}

    def add(self, kind: str, what: str, detail: str, mended: bool) -> None:
        self.findings.append(Finding(kind, what, detail, mended))


def run(registry: Registry, *, repair: bool, digests: bool, progress: Progress = lambda _step, _count: None) -> Report:
    """Look at everything; `digests` reads every byte. Without `repair` nothing changes. Safe while serving."""
    report = Report()
    _counts(registry, report, repair)
    progress("counts", 1)
    _unheld(registry, report, repair)
    progress("holders", 1)
    _rows(registry, report, repair, digests, progress)
    _strays(registry, report, repair, progress)
    return report


def _counts(registry: Registry, report: Report, repair: bool) -> None:
    def work(tx: Transaction) -> list[recount.Miscount]:
        wrong = recount.miscounts(tx)
        if repair:
            for miscount in wrong:
                recount.repair(tx, miscount)
        return wrong

    for miscount in registry.metadata.write(work, preview=not repair):
        detail = f"cnt is {miscount.stored}, its holders are {miscount.counted}"
        report.add("miscount", f"{miscount.table} {miscount.name}", detail, repair)


def _unheld(registry: Registry, report: Report, repair: bool) -> None:
    """What nobody holds and no lease protects; between two transactions of a push there is none."""

    def work(tx: Transaction) -> Released:
        loose = recount.unheld(tx)
        released = refcounts.reap(tx, manifests=loose["manifest"], images=loose["image"], layers=loose["layer"])
        if released.size:
            events.add(tx, "#fsck", "reclaim", freed=released.size)
        return released

    released = registry.metadata.write(work, preview=not repair)
    for digest in released.manifests:
        report.add("unheld", f"manifest {digest}", "nothing holds it", repair)
    for image_id in released.images:
        report.add("unheld", f"image {image_id}", "nothing holds it", repair)
    for gone in released.layers:
        report.add("unheld", f"layer {gone.digest}", "nothing holds it", repair)
    if repair:
        report.freed_bytes += files.drop(registry, released.layers).freed


def _rows(registry: Registry, report: Report, repair: bool, digests: bool, progress: Progress) -> None:
    last = 0
    while batch := registry.metadata.read(lambda tx, after=last: layers.page(tx, after, _PAGE)):  # type: ignore[misc]
        for known in batch:
            if known.lost:
                _look_again(registry, report, known, repair)
            else:
                _look(registry, report, known, digests, repair)
            progress("layers", 1)
        report.layers += len(batch)
        last = batch[-1].id


def _look(registry: Registry, report: Report, known: Layer, digests: bool, repair: bool) -> None:
    fault = _fault(registry, known, digests)
    if fault and _noted(registry, known, repair, lost=True):
        detail = f"{fault}; push an image that holds it again to heal it"
        report.add("lost", f"layer {known.digest}", detail, repair)


def _look_again(registry: Registry, report: Report, known: Layer, repair: bool) -> None:
    """A volume that was not mounted, for one, brings back what was lost."""
    if _fault(registry, known, digests=True) is None and _noted(registry, known, repair, lost=False):
        report.add("lost", f"layer {known.digest}", "it is marked as lost, but its file is there and right", repair)


def _fault(registry: Registry, known: Layer, digests: bool) -> str | None:
    path = layer_path(known.digest, known.generation)
    try:
        size = registry.storage.size(path)
        if size is None:
            return "its file is missing"
        if size != known.size:
            return f"its file has {size} bytes instead of {known.size}"
        if digests and _digest_of(registry, path, known.digest.algorithm) != known.digest:
            return "its file holds other bytes than its digest says"
    except FileNotFoundError:
        return "its file is missing"
    except OSError as broken:
        return f"its file cannot be read: {broken}"
    return None


def _digest_of(registry: Registry, path: str, algorithm: str) -> Digest:
    running = hashlib.new(algorithm)
    with registry.storage.open(path) as file:
        while piece := file.read(1 << 20):
            running.update(piece)
    return Digest(algorithm, running.hexdigest())


def _noted(registry: Registry, known: Layer, repair: bool, *, lost: bool) -> bool:
    """Mark the row, if it still is as it was seen: a delete may have run since."""
    return registry.metadata.write(lambda tx: layers.mark(tx, known, lost=lost), preview=not repair)


def _strays(registry: Registry, report: Report, repair: bool, progress: Progress) -> None:
    """Files without a row: younger than an upload may be idle they can belong to a running push."""
    old = time.time() - registry.settings.upload_timeout
    queued = registry.metadata.read(outbox.paths)
    running = registry.metadata.read(uploads.uuids)
    for file in registry.storage.layers():
        report.files += 1
        progress("files", 1)
        digest, generation = _named(file.path)
        if file.path in queued or generation in running or file.modified > old:
            continue
        known = digest is not None and registry.metadata.read(
            lambda tx, d=digest, g=generation: layers.generation_known(tx, d, g)  # type: ignore[misc]
        )
        if known:
            continue
        if repair:
            report.freed_bytes += registry.storage.remove(file.path)
        report.add("stray", file.path, f"{file.size} bytes that no row knows", repair)


def _named(path: str) -> tuple[Digest | None, str]:
    parts = path.split("/")
    encoded, _, generation = parts[-1].partition(".")
    algorithm = parts[1] if len(parts) > 2 else ""
    well_formed = {"sha256": 64, "sha512": 128}.get(algorithm) == len(encoded)
    return (Digest(algorithm, encoded) if well_formed else None), generation
