"""Manifest rows: one for each repository that holds the document, with the exact bytes that were pushed."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, exists, select

from pier_registry.metadata.schema import layer, manifest, manifest_child, manifest_layer, repository
from pier_registry.metadata.session import Transaction, inserted_id
from pier_registry.names import Digest


@dataclass(frozen=True, slots=True)
class Manifest:
    """`size` of the body in bytes; `origin` is `pushed`, or `synth` for one made of a v1 image."""

    id: int
    repository_id: int
    digest: str
    media_type: str
    artifact_type: str | None
    annotations: Mapping[str, str]
    size: int
    subject: str | None
    origin: str
    cnt: int


@dataclass(frozen=True, slots=True)
class Draft:
    """A manifest that has no row yet. Layer and child rows in the order of the document, each once."""

    digest: Digest
    media_type: str
    artifact_type: str | None
    annotations: Mapping[str, str]
    body: bytes
    subject: Digest | None
    config_row: int | None
    layer_rows: Sequence[int]
    child_rows: Sequence[int]
    origin: str = "pushed"


_SUMMARY = (
    manifest.c.id,
    manifest.c.repository_id,
    manifest.c.digest,
    manifest.c.media_type,
    manifest.c.artifact_type,
    manifest.c.annotations,
    manifest.c.size,
    manifest.c.subject_digest,
    manifest.c.origin,
    manifest.c.cnt,
)


def find(tx: Transaction, repository_id: int, digest: Digest | str, *, lock: bool = False) -> Manifest | None:
    statement = select(*_SUMMARY).where(manifest.c.repository_id == repository_id, manifest.c.digest == str(digest))
    row = tx.run(statement.with_for_update() if lock else statement).one_or_none()
    return None if row is None else _manifest(row)


def by_row(tx: Transaction, row_id: int) -> Manifest | None:
    row = tx.run(select(*_SUMMARY).where(manifest.c.id == row_id)).one_or_none()
    return None if row is None else _manifest(row)


def among(tx: Transaction, repository_id: int, digests: Iterable[Digest]) -> dict[str, Manifest]:
    """Those of the digests that the repository holds, by digest."""
    wanted = sorted({str(digest) for digest in digests})
    if not wanted:
        return {}
    statement = select(*_SUMMARY).where(manifest.c.repository_id == repository_id, manifest.c.digest.in_(wanted))
    return {row.digest: _manifest(row) for row in tx.run(statement)}


def body_of(tx: Transaction, row_id: int) -> bytes:
    """The bytes of the PUT, unchanged."""
    return bytes(tx.run(select(manifest.c.body).where(manifest.c.id == row_id)).scalar_one())


def insert(tx: Transaction, repository_id: int, draft: Draft) -> int:
    """Add the row and its edges; the caller takes the references. Returns its id."""
    added = tx.run(
        manifest.insert().values(
            repository_id=repository_id,
            digest=str(draft.digest),
            media_type=draft.media_type,
            artifact_type=draft.artifact_type,
            annotations=json.dumps(dict(draft.annotations)) if draft.annotations else None,
            size=len(draft.body),
            body=draft.body,
            config_layer_id=draft.config_row,
            subject_digest=str(draft.subject) if draft.subject else None,
            origin=draft.origin,
            created=tx.now,
        )
    )
    row_id = inserted_id(added)
    layers = [{"manifest_id": row_id, "layer_id": held, "position": at} for at, held in enumerate(draft.layer_rows)]
    children = [{"parent_id": row_id, "child_id": held, "position": at} for at, held in enumerate(draft.child_rows)]
    if layers:
        tx.run(manifest_layer.insert(), layers)
    if children:
        tx.run(manifest_child.insert(), children)
    return row_id


def referrers(
    tx: Transaction, repository_id: int, subject: Digest, artifact_types: Collection[str], after: int, count: int
) -> list[Manifest]:
    """Manifests whose subject this is, by row id above `after`; of these artifact types, or of any without one."""
    statement = select(*_SUMMARY).where(
        manifest.c.repository_id == repository_id, manifest.c.subject_digest == str(subject), manifest.c.id > after
    )
    if artifact_types:
        statement = statement.where(manifest.c.artifact_type.in_(sorted(artifact_types)))
    return [_manifest(row) for row in tx.run(statement.order_by(manifest.c.id).limit(count))]


def referrer_rows(tx: Transaction, repository_id: int, subject: Digest | str) -> list[int]:
    mine = (manifest.c.repository_id == repository_id, manifest.c.subject_digest == str(subject))
    return list(tx.run(select(manifest.c.id).where(*mine)).scalars())


def children(tx: Transaction, row_id: int) -> list[Manifest]:
    """The manifests that an index lists, in its order."""
    statement = select(*_SUMMARY).join(manifest_child, manifest_child.c.child_id == manifest.c.id)
    found = tx.run(statement.where(manifest_child.c.parent_id == row_id).order_by(manifest_child.c.position))
    return [_manifest(row) for row in found]


def tree(tx: Transaction, row_ids: Collection[int]) -> list[int]:
    """These manifests and everything below them."""
    if not row_ids:
        return []
    walk = select(manifest.c.id).where(manifest.c.id.in_(sorted(row_ids))).cte("tree", recursive=True)
    walk = walk.union(select(manifest_child.c.child_id).where(manifest_child.c.parent_id == walk.c.id))
    return list(tx.run(select(walk.c.id)).scalars())


def layers_of(tx: Transaction, row_ids: Collection[int]) -> list[int]:
    """Rows of the layers that these manifests hold themselves."""
    if not row_ids:
        return []
    edges = select(manifest_layer.c.layer_id).where(manifest_layer.c.manifest_id.in_(sorted(row_ids)))
    return list(tx.run(edges.distinct()).scalars())


def is_child(tx: Transaction, row_id: int) -> bool:
    """Whether an index lists it."""
    edge = select(manifest_child.c.parent_id).where(manifest_child.c.child_id == row_id)
    return tx.run(edge.limit(1)).first() is not None


def holds(tx: Transaction, repository_id: int, layer_ids: Collection[int]) -> set[int]:
    """Those of the layers that some manifest of the repository holds."""
    if not layer_ids:
        return set()
    edge = exists().where(
        manifest_layer.c.layer_id == layer.c.id,
        manifest_layer.c.manifest_id == manifest.c.id,
        manifest.c.repository_id == repository_id,
    )
    return set(tx.run(select(layer.c.id).where(layer.c.id.in_(sorted(layer_ids)), edge)).scalars())


def repositories_holding(tx: Transaction, layer_row: int) -> list[str]:
    """Full names of the repositories of which some manifest holds the layer."""
    names = tx.run(
        select(repository.c.name)
        .join(manifest, manifest.c.repository_id == repository.c.id)
        .join(manifest_layer, manifest_layer.c.manifest_id == manifest.c.id)
        .where(manifest_layer.c.layer_id == layer_row)
        .distinct()
    )
    return [name for name in names.scalars() if not name.startswith("#")]


def _manifest(row: Row[Any]) -> Manifest:
    return Manifest(
        id=row.id,
        repository_id=row.repository_id,
        digest=row.digest,
        media_type=row.media_type,
        artifact_type=row.artifact_type,
        annotations=json.loads(row.annotations) if row.annotations else {},
        size=row.size,
        subject=row.subject_digest,
        origin=row.origin,
        cnt=row.cnt,
    )
