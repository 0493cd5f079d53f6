"""v1 push sessions: opened by PUT of the repository, closed by PUT of its images.

Only within one is a client told that an image exists, and is promised that it will still be there for the tag.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import delete, func, select, update

from pier_registry.metadata.leases import Pusher
from pier_registry.metadata.schema import push_session
from pier_registry.metadata.session import Transaction


@dataclass(frozen=True, slots=True)
class PushSession:
    """`tags` tag PUTs were announced, so each promise is given that often."""

    id: int
    repository: str
    announced: frozenset[str]
    tags: int


def open_session(tx: Transaction, pusher: Pusher, repository: str, announced: Collection[str], tags: int) -> None:
    tx.run(
        push_session.insert().values(
            user=pusher.user,
            pusher=pusher.key,
            repository=repository,
            announced=json.dumps(sorted(announced)),
            tags=max(tags, 1),
            born=tx.now,
            touched=tx.now,
        )
    )


def of(tx: Transaction, pusher: Pusher) -> list[PushSession]:
    """The pusher's open sessions, oldest first."""
    rows = tx.run(select(push_session).where(push_session.c.pusher == pusher.key).order_by(push_session.c.id))
    return [PushSession(r.id, r.repository, frozenset(json.loads(r.announced)), r.tags) for r in rows]


def is_open(tx: Transaction, user: str, repository: str) -> bool:
    statement = select(push_session.c.id).where(push_session.c.user == user, push_session.c.repository == repository)
    return tx.run(statement.limit(1)).first() is not None


def touch(tx: Transaction, pusher: Pusher, idle: int) -> None:
    """Note that the pusher is alive, at most once in `idle` ms."""
    tx.run(
        update(push_session)
        .where(push_session.c.pusher == pusher.key, push_session.c.touched < tx.now - idle)
        .values(touched=tx.now)
    )


def close(tx: Transaction, session_id: int) -> None:
    tx.run(delete(push_session).where(push_session.c.id == session_id))


def count(tx: Transaction, user: str) -> int:
    return int(tx.run(select(func.count()).where(push_session.c.user == user)).scalar_one())


def drop_idle(tx: Transaction, before: int) -> int:
    return tx.run(delete(push_session).where(push_session.c.touched < before)).rowcount
