"""Sums for people and for metrics; always from the rows, never from a process's own counting."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Table, func, select

from pier_registry.metadata import events, outbox
from pier_registry.metadata.schema import image, layer, lease, manifest, repository, tag, upload
from pier_registry.metadata.session import Transaction


@dataclass(frozen=True, slots=True)
class Usage:
    """Counts of rows; `bytes` stored in layers, `freed_bytes` by deletes ever, `pending_bytes` still to be unlinked."""

    repositories: int
    tags: int
    manifests: int
    images: int
    layers: int
    bytes: int
    freed_bytes: int
    pending_bytes: int
    pending_files: int
    leases: int
    uploads: int


def total(tx: Transaction) -> Usage:
    def count(table: Table, *which: ColumnElement[bool]) -> int:
        return int(tx.run(select(func.count()).select_from(table).where(*which)).scalar_one())

    stored = int(tx.run(select(func.coalesce(func.sum(layer.c.size), 0))).scalar_one())
    files, waiting = outbox.waiting(tx)
    return Usage(
        repositories=count(repository),
        tags=count(tag),
        manifests=count(manifest),
        images=count(image),
        layers=count(layer),
        bytes=stored,
        freed_bytes=events.freed_bytes(tx),
        pending_bytes=waiting,
        pending_files=files,
        leases=count(lease, lease.c.until > tx.now),
        uploads=count(upload),
    )
