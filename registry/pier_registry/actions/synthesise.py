"""Manifests for v1 tags that were set before there were any: `pier migrate --synthesise`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from pier_registry import errors
from pier_registry.actions import publish
from pier_registry.actions.registry import Registry, local_admin
from pier_registry.metadata import tags
from pier_registry.metadata.tags import Tag
from pier_registry.names import RepositoryName

_PAGE = 100


@dataclass(slots=True)
class Report:
    """`left` names tags whose layers v2 clients could not unpack, or that are lost."""

    made: int = 0
    left: list[str] = field(default_factory=list)


def run(registry: Registry, progress: Callable[[], object] = lambda: None) -> Report:
    """Each tag in a transaction of its own, as if it were set again; safe while serving, and to be run again."""
    report = Report()
    last = 0
    while batch := registry.metadata.read(lambda tx, after=last: tags.without_manifest(tx, after, _PAGE)):  # type: ignore[misc]
        for known in batch:
            if _synthesised(registry, known):
                report.made += 1
            else:
                report.left.append(f"{known.repository}:{known.name}")
            progress()
        last = batch[-1].id
    return report


def _synthesised(registry: Registry, known: Tag) -> bool:
    assert known.image_id is not None  # noqa: S101  asked for tags of v1 images
    name = RepositoryName.parse(known.repository)
    try:
        publish.tag(registry, local_admin(), name, known.name, known.image_id, known.agent)
    except (errors.ImageUnknown, errors.Busy):
        return False
    found = registry.metadata.read(lambda tx: tags.by_row(tx, known.id))
    return found is not None and found.manifest_row is not None
