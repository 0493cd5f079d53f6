"""v1 push sessions: opened by PUT of the repository, closed by PUT of its images.

Only within one is a client told that an image exists, and is promised that it will still be there for the tag.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import and_, delete, func, or_, select, update

from pier_registry.metadata.leases import MAX_AGE, Pusher
from pier_registry.metadata.schema import push_session
from pier_registry.metadata.session import Transaction


@dataclass(frozen=True, slots=True)
class PushSession:
    """`tags` tag PUTs were announced, so each promise is given that often; `born` in ms."""

    id: int
    repository: str
    announced: frozenset[str]
    tags: int
    born: int


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
    return [PushSession(r.id, r.repository, frozenset(json.loads(r.announced)), r.tags, r.born) for r in rows]


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


def end(tx: Transaction, pusher: Pusher, repository: str) -> bool:
    """End one of the pusher's sessions in a repository; with the last one all go. Says whether none is left.

    Two at once cannot be told apart, so none is forgotten, with what it announced, before both have ended. The
    youngest is marked: one that was left behind then stays the oldest, and ends by its age.
    """
    mine = (push_session.c.pusher == pusher.key, push_session.c.repository == repository)
    found = select(push_session.c.id, push_session.c.ended).where(*mine).order_by(push_session.c.id)
    rows = tx.run(found.with_for_update()).all()
    running = [row.id for row in rows if not row.ended]
    if len(running) > 1:
        tx.run(update(push_session).where(push_session.c.id == running[-1]).values(ended=1))
        return False
    tx.run(delete(push_session).where(push_session.c.id.in_([row.id for row in rows])))
    return True


def some(tx: Transaction, pusher: Pusher, repository: str) -> bool:
    statement = select(push_session.c.id).where(
        push_session.c.pusher == pusher.key, push_session.c.repository == repository
    )
    return tx.run(statement.limit(1)).first() is not None


def close(tx: Transaction, session_id: int) -> None:
    tx.run(delete(push_session).where(push_session.c.id == session_id))


def count(tx: Transaction, user: str) -> int:
    """Those that have not ended."""
    running = select(func.count()).where(push_session.c.user == user, push_session.c.ended == 0)
    return int(tx.run(running).scalar_one())


def drop_idle(tx: Transaction, before: int, *, life: int) -> int:
    """Drop those untouched since `before` (ms), and those older than any promise that they could still protect.

    `life` is that of a promise in ms: an ended session is kept no longer, one that never ended for a day.
    """
    ended = and_(push_session.c.ended == 1, push_session.c.born < tx.now - life)
    gone = or_(push_session.c.touched < before, push_session.c.born < tx.now - MAX_AGE, ended)
    return tx.run(delete(push_session).where(gone)).rowcount
