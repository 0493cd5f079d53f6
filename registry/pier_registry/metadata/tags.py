"""Tag rows: what a name in a repository points at, a v1 image, a manifest, or both faces of one image."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, Select, delete, select, update
from sqlalchemy.dialects import mysql

from pier_registry.metadata.schema import image, manifest, repository, tag
from pier_registry.metadata.session import Transaction
from pier_registry.names import ImageId, TagName


@dataclass(frozen=True, slots=True)
class Tag:
    """`image_row` and `manifest_row` are what it holds; `agent` what its pusher's User-Agent told; `updated` in ms."""

    id: int
    repository: str
    name: TagName
    image_row: int | None
    image_id: ImageId | None
    manifest_row: int | None
    digest: str | None
    agent: Mapping[str, str]
    updated: int


def _tags() -> Select[Any]:
    return (
        select(tag, repository.c.name.label("repository"), image.c.image_id.label("v1_id"), manifest.c.digest)
        .join(repository, repository.c.id == tag.c.repository_id)
        .outerjoin(image, image.c.id == tag.c.image_id)
        .outerjoin(manifest, manifest.c.id == tag.c.manifest_id)
    )


def _tag(row: Row[Any]) -> Tag:
    return Tag(
        id=row.id,
        repository=row.repository,
        name=TagName(row.name),
        image_row=row.image_id,
        image_id=row.v1_id,
        manifest_row=row.manifest_id,
        digest=row.digest,
        agent=json.loads(row.agent) if row.agent else {},
        updated=row.updated,
    )


def find(tx: Transaction, repository_id: int, name: TagName, *, lock: bool = False) -> Tag | None:
    this = (tag.c.repository_id == repository_id, tag.c.name == name)
    if lock:
        tx.run(select(tag.c.id).where(*this).with_for_update())
    row = tx.run(_tags().where(*this)).one_or_none()
    return None if row is None else _tag(row)


def of_manifest(tx: Transaction, manifest_row: int) -> list[Tag]:
    """Tags that point at the manifest, locked."""
    ids = tx.run(select(tag.c.id).where(tag.c.manifest_id == manifest_row).order_by(tag.c.id).with_for_update())
    return [_tag(row) for row in tx.run(_tags().where(tag.c.id.in_(list(ids.scalars()))).order_by(tag.c.id))]


def by_row(tx: Transaction, row_id: int) -> Tag | None:
    row = tx.run(_tags().where(tag.c.id == row_id)).one_or_none()
    return None if row is None else _tag(row)


def claim(tx: Transaction, repository_id: int, name: TagName) -> Tag:
    """The tag, locked; made when there is none, pointing nowhere yet, so that two who set it follow each other."""
    values = {"repository_id": repository_id, "name": name, "updated": tx.now}
    if tx.mysql:
        tx.run(mysql.insert(tag).values(values).on_duplicate_key_update(name=name))
    elif find(tx, repository_id, name) is None:
        tx.run(tag.insert().values(values))
    claimed = find(tx, repository_id, name, lock=True)
    assert claimed is not None  # noqa: S101  locked in this transaction
    return claimed


def point(
    tx: Transaction, claimed: Tag, *, image_row: int | None, manifest_row: int | None, agent: Mapping[str, str]
) -> None:
    """Write where the tag points; the caller has taken the new references and releases those of `claimed`."""
    values = {
        "image_id": image_row,
        "manifest_id": manifest_row,
        "agent": json.dumps(dict(agent), sort_keys=True),
        "updated": tx.now,
    }
    tx.run(update(tag).where(tag.c.id == claimed.id).values(values))


def add_manifest(tx: Transaction, known: Tag, manifest_row: int) -> None:
    """The v2 side of a v1 tag; when it was pushed, and by what, stays as it is."""
    tx.run(update(tag).where(tag.c.id == known.id).values(manifest_id=manifest_row))


def remove(tx: Transaction, tag_id: int) -> None:
    tx.run(delete(tag).where(tag.c.id == tag_id))


def page(tx: Transaction, repository_id: int, after: str, count: int | None) -> list[Tag]:
    """Tags above `after`, bytewise sorted; all of them without a count."""
    statement = _tags().where(tag.c.repository_id == repository_id, tag.c.name > after).order_by(tag.c.name)
    return [_tag(row) for row in tx.run(statement if count is None else statement.limit(count))]


def with_manifest(tx: Transaction, repository_id: int, after: str, count: int) -> list[TagName]:
    """Names above `after` of up to `count` tags that v2 can pull, bytewise sorted."""
    mine = (tag.c.repository_id == repository_id, tag.c.name > after, tag.c.manifest_id.is_not(None))
    return [
        TagName(name) for name in tx.run(select(tag.c.name).where(*mine).order_by(tag.c.name).limit(count)).scalars()
    ]


def some(tx: Transaction, repository_id: int, count: int) -> list[Tag]:
    """Any tags of a repository, locked; for removing them in batches."""
    ids = tx.run(
        select(tag.c.id).where(tag.c.repository_id == repository_id).order_by(tag.c.id).limit(count).with_for_update()
    )
    return [_tag(row) for row in tx.run(_tags().where(tag.c.id.in_(list(ids.scalars()))).order_by(tag.c.id))]


def without_manifest(tx: Transaction, after: int, count: int) -> list[Tag]:
    """Tags of v1 images that v2 cannot pull, with an id above `after`, in order of id."""
    these = (tag.c.id > after, tag.c.manifest_id.is_(None), tag.c.image_id.is_not(None))
    found = tx.run(_tags().where(*these, ~repository.c.name.startswith("#")).order_by(tag.c.id).limit(count))
    return [_tag(row) for row in found]


def in_namespace(tx: Transaction, namespace: str, after: tuple[str, str], count: int) -> list[Tag]:
    """Tags of all repositories of a namespace, by repository and name, above `after`."""
    last_repository, last_tag = after
    beyond = (repository.c.name > last_repository) | ((repository.c.name == last_repository) & (tag.c.name > last_tag))
    statement = _tags().where(repository.c.name.startswith(f"{namespace}/", autoescape=True), beyond)
    return [_tag(row) for row in tx.run(statement.order_by(repository.c.name, tag.c.name).limit(count))]
