"""A manifest whose last tag moved on stays for a while, for those who deploy by digest: PIER_UNTAGGED_GRACE.

It is kept by a lease of its own; an explicit delete, or a new tag, ends that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from fnmatch import fnmatchcase
from typing import Final

from pier_registry.actions.registry import Registry
from pier_registry.metadata import leases, manifests
from pier_registry.metadata.leases import Pusher
from pier_registry.metadata.session import Transaction
from pier_registry.names import RepositoryName

_KEEPER: Final = Pusher("#untagged", "#untagged")


def give(registry: Registry, tx: Transaction, repository: RepositoryName, overwritten: Collection[int]) -> None:
    """Call it before the release; `overwritten` holds a manifest's row once for each tag that leaves it."""
    life = _life(registry, repository)
    if not life:
        return
    for row_id, leaving in sorted(Counter(overwritten).items()):
        known = manifests.by_row(tx, row_id)
        if known is not None and known.cnt <= leaving:
            leases.grant(tx, "manifest", row_id, repository.full, _KEEPER, life=life)


def end(tx: Transaction, repository: RepositoryName, row_id: int) -> None:
    leases.give_up(tx, "manifest", row_id, repository.full, [_KEEPER.key])


def _life(registry: Registry, repository: RepositoryName) -> int:
    """Milliseconds; of the patterns that fit, the last one counts."""
    found = 0.0
    for pattern, seconds in registry.settings.untagged_grace:
        if fnmatchcase(repository.full, pattern) or fnmatchcase(repository.short, pattern):
            found = seconds
    return int(found * 1000)
