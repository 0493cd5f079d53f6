"""Manifests for v1 tags that were set before there were any: `pier migrate --synthesise`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from pier_registry.actions import bridge
from pier_registry.actions.bridge import Prepared
from pier_registry.actions.registry import Registry, local_admin
from pier_registry.metadata import images, manifests, refcounts, repositories, tags
from pier_registry.metadata.session import Transaction
from pier_registry.metadata.tags import Tag
from pier_registry.names import RepositoryName

_PAGE = 100


@dataclass(slots=True)
class Report:
    """`left` names tags whose layers v2 clients could not unpack, or that are lost."""

    made: int = 0
    left: list[str] = field(default_factory=list)


def run(registry: Registry, progress: Callable[[], object] = lambda: None) -> Report:
    """Each tag in a transaction of its own; safe while serving, and to be run again."""
    report = Report()
    last = 0
    while batch := registry.metadata.read(lambda tx, after=last: tags.without_manifest(tx, after, _PAGE)):  # type: ignore[misc]
        for known in batch:
            if _synthesised(registry, known):
                report.made += 1
            elif registry.metadata.read(lambda tx, row=known.id: _still_without(tx, row)):  # type: ignore[misc]
                report.left.append(f"{known.repository}:{known.name}")
            progress()
        last = batch[-1].id
    return report


def _still_without(tx: Transaction, row_id: int) -> bool:
    """Deleted or moved meanwhile, a tag needs nothing any more."""
    known = tags.by_row(tx, row_id)
    return known is not None and known.image_row is not None and known.manifest_row is None


def _synthesised(registry: Registry, known: Tag) -> bool:
    assert known.image_id is not None  # noqa: S101  asked for tags of v1 images
    caller, repository = local_admin(), RepositoryName.parse(known.repository)
    try:
        with bridge.prepared(registry, caller, repository, known.image_id) as prepared:
            return prepared is not None and registry.metadata.write(lambda tx: _add(tx, repository, known, prepared))
    except bridge.Stale:
        return False


def _add(tx: Transaction, repository: RepositoryName, seen: Tag, prepared: Prepared) -> bool:
    """Give the tag its manifest, if it still points where it did; nothing else of it changes."""
    home = repositories.find(tx, repository, share=True)
    known = tags.find(tx, home.id, seen.name, lock=True) if home else None
    if home is None or known is None or known.image_row != seen.image_row or known.manifest_row is not None:
        return False
    made = manifests.find(tx, home.id, prepared.made.digest)
    refcounts.lock_manifests(tx, [made.id] if made else [])
    refcounts.lock_images(tx, [known.image_row] if known.image_row is not None else [])
    refcounts.lock_layers(tx, bridge.lock(tx, prepared))
    chain = images.chain(tx, [known.image_row] if known.image_row is not None else [])
    row_id = bridge.put(tx, home.id, prepared, chain)
    refcounts.take(tx, manifests=[row_id])
    tags.add_manifest(tx, known, row_id)
    return True
