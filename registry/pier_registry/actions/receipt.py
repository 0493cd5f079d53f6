"""What a delete did, or would do: the same words for both, so they can be compared byte for byte."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from pier_registry.actions.files import Dropped
from pier_registry.metadata.refcounts import Released


@dataclass(frozen=True, slots=True)
class LayerLine:
    digest: str
    size: int


@dataclass(frozen=True, slots=True)
class KeptLayer:
    """`cnt` direct holders; `held_by` up to ten tags that reach it and that the reader may pull; `others` the rest."""

    digest: str
    size: int
    cnt: int
    held_by: tuple[str, ...]
    others: int


@dataclass(frozen=True, slots=True)
class PromisedLine:
    """Unheld, but promised to a running push until `until` (UTC)."""

    digest: str
    size: int
    until: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """`freed_bytes` are back on the disk before the answer; `pending_bytes` follow without another request."""

    repository: str
    tags: tuple[str, ...]
    freed_bytes: int
    pending_bytes: int
    manifests: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    layers: tuple[LayerLine, ...] = ()
    kept: tuple[KeptLayer, ...] = field(default=())
    promised: tuple[PromisedLine, ...] = ()

    def headers(self) -> dict[str, str]:
        return {"Pier-Freed-Bytes": str(self.freed_bytes), "Pier-Pending-Bytes": str(self.pending_bytes)}

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def of(repository: str, tags: list[str], released: Released, kept: tuple[KeptLayer, ...], dropped: Dropped) -> Receipt:
    """What could not be unlinked yet is pending, and so is what is promised."""
    promised = tuple(
        PromisedLine(str(layer.digest), layer.size, datetime.fromtimestamp(layer.until / 1000, UTC).isoformat())
        for layer in released.promised
    )
    return Receipt(
        repository=repository,
        tags=tuple(tags),
        freed_bytes=dropped.freed,
        pending_bytes=dropped.left + sum(line.size for line in promised),
        manifests=tuple(released.manifests),
        images=tuple(released.images),
        layers=tuple(LayerLine(str(layer.digest), layer.size) for layer in released.layers),
        kept=kept,
        promised=promised,
    )
