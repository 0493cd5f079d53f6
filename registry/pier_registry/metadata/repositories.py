"""Repository rows: a name that holds tags and manifests; gone when it holds neither."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, exists, func, select, update

from pier_registry.metadata.schema import manifest, repository, tag
from pier_registry.metadata.session import Transaction
from pier_registry.names import RepositoryName


@dataclass(frozen=True, slots=True)
class Repository:
    """`access` is v1's property: `private` or `public`."""

    id: int
    name: str
    access: str


def find(tx: Transaction, name: RepositoryName, *, lock: bool = False, share: bool = False) -> Repository | None:
    """With `lock` or `share` the row stays as it is until the transaction ends."""
    statement = select(repository).where(repository.c.name == name.full)
    if lock or share:
        statement = statement.with_for_update(read=share)
    row = tx.run(statement).one_or_none()
    return None if row is None else _repository(row)


def find_or_create(tx: Transaction, name: RepositoryName) -> Repository:
    known = find(tx, name, share=True)
    if known is None:
        tx.run(repository.insert().values(name=name.full, created=tx.now, touched=tx.now))
        known = find(tx, name, share=True)
        assert known is not None  # noqa: S101  inserted in this transaction
    return known


def names(tx: Transaction, after: str, count: int, containing: str = "") -> list[str]:
    """Full names above `after`, bytewise sorted; `containing` is a literal substring, in any case."""
    statement = select(repository.c.name).where(repository.c.name > after, ~repository.c.name.startswith("#"))
    if containing:
        statement = statement.where(repository.c.name.contains(containing.lower(), autoescape=True))
    return list(tx.run(statement.order_by(repository.c.name).limit(count)).scalars())


def set_access(tx: Transaction, repository_id: int, access: str) -> None:
    tx.run(update(repository).where(repository.c.id == repository_id).values(access=access))


def hide(tx: Transaction, repository_id: int) -> None:
    """From here on nobody can name it; a push to the name makes a new repository."""
    values = {"name": f"#{repository_id}", "touched": tx.now}
    tx.run(update(repository).where(repository.c.id == repository_id).values(values))


def touch(tx: Transaction, repository_id: int) -> None:
    tx.run(update(repository).where(repository.c.id == repository_id).values(touched=tx.now))


def hidden(tx: Transaction, idle: int) -> list[int]:
    """Hidden repositories that nobody worked on for `idle` ms."""
    statement = select(repository.c.id).where(repository.c.name.startswith("#"), repository.c.touched < tx.now - idle)
    return list(tx.run(statement).scalars())


def empty(tx: Transaction, count: int) -> list[int]:
    """Up to `count` repositories that hold nothing, such as those whose last manifest lost its promise."""
    return list(tx.run(select(repository.c.id).where(_is_empty()).limit(count).with_for_update()).scalars())


def remove_if_empty(tx: Transaction, repository_id: int) -> bool:
    """The caller holds the row's lock."""
    return tx.run(delete(repository).where(repository.c.id == repository_id, _is_empty())).rowcount > 0


def _is_empty() -> ColumnElement[bool]:
    tags = exists().where(tag.c.repository_id == repository.c.id)
    return ~tags & ~exists().where(manifest.c.repository_id == repository.c.id)


def count(tx: Transaction) -> int:
    return int(tx.run(select(func.count()).select_from(repository)).scalar_one())


def _repository(row: Row[Any]) -> Repository:
    return Repository(row.id, row.name, row.access)
