"""Questions about space: what is stored, who holds a layer."""

from __future__ import annotations

from dataclasses import dataclass

from pier_registry import errors
from pier_registry.actions.registry import Caller, Registry
from pier_registry.metadata import holders, layers, leases, usage
from pier_registry.metadata.holders import Held
from pier_registry.metadata.session import Transaction
from pier_registry.metadata.usage import Usage
from pier_registry.names import Digest


@dataclass(frozen=True, slots=True)
class LayerUse:
    """`tags` how many tags reach it (counted to 1,000); `leased` whether a promise protects it."""

    digest: str
    size: int
    cnt: int
    tags: int
    held_by: tuple[str, ...]
    others: int
    leased: bool


def totals(registry: Registry) -> Usage:
    return registry.metadata.read(usage.total)


def layer(registry: Registry, caller: Caller, digest: Digest) -> LayerUse:
    """Raises LayerUnknown, also when the caller may pull nothing that holds it."""

    def work(tx: Transaction) -> LayerUse:
        known = layers.find(tx, digest)
        held = holders.of_layers(tx, [known.id], lambda name: caller.may("pull", name)) if known else []
        if known is None or not (held[0].held_by or caller.everywhere("pull")):
            raise errors.LayerUnknown(str(digest))
        return _use(tx, known.id, held[0])

    return registry.metadata.read(work)


def _use(tx: Transaction, row_id: int, held: Held) -> LayerUse:
    leased = bool(leases.holding(tx, "layer", [row_id]))
    tags = len(held.held_by) + held.others
    return LayerUse(str(held.digest), held.size, held.cnt, tags, held.held_by, held.others, leased)
