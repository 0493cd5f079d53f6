"""Leases: counted promises to a pusher that what it was told exists will still be there for its tag or manifest.

A lease is given in the transaction that makes the object visible or says that it exists, after its row was locked;
it is taken back by the tag or manifest that then holds the object, so an idle registry has none.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final, Literal

from sqlalchemy import ColumnElement, and_, bindparam, case, delete, func, select, update

from pier_registry.metadata.schema import lease
from pier_registry.metadata.session import Transaction

Kind = Literal["layer", "manifest", "image"]
MAX_AGE: Final = 24 * 3600 * 1000


# What every blob of a push asks is put together once.
_ALIVE: Final = lease.c.until > bindparam("_now")
_MINE: Final = and_(lease.c.repository == bindparam("_repository"), lease.c.pusher == bindparam("_pusher"))
_GRANT: Final = (
    # Ordered: MySQL assigns from left to right, and `until` must still be the old one in the others.
    update(lease)
    .ordered_values(
        (lease.c.promises, case((_ALIVE, lease.c.promises), else_=0) + bindparam("_promises")),
        (lease.c.echoes, case((_ALIVE, lease.c.echoes), else_=0) + bindparam("_echoes")),
        (lease.c.born, case((_ALIVE, lease.c.born), else_=bindparam("_now"))),
        (lease.c.until, bindparam("_until")),
    )
    .where(lease.c.kind == bindparam("_kind"), lease.c.object_id == bindparam("_object"), _MINE)
)
_FIRST: Final = lease.insert()
_RENEW: Final = update(lease).where(
    _MINE, _ALIVE, lease.c.until < bindparam("_half"), lease.c.born > bindparam("_oldest")
)


@dataclass(frozen=True, slots=True)
class Pusher:
    """One client at work: `key` is a hash of user, client address and agent."""

    user: str
    key: str


@dataclass(frozen=True, slots=True)
class Freed:
    """An object that lost its last promise of one pusher, and may now be unheld."""

    kind: Kind
    object_id: int


@dataclass(frozen=True, slots=True)
class Promised:
    """A row of a lease, and what it keeps."""

    id: int
    kind: Kind
    object_id: int


def grant(
    tx: Transaction,
    kind: Kind,
    object_id: int,
    repository: str,
    pusher: Pusher,
    *,
    life: int,
    promises: int = 1,
    echoes: int = 0,
) -> None:
    """Add promises to those that still live. The caller holds the object's row lock. `life` in milliseconds.

    `echoes` of the questions that follow will be promised nothing, see `echo`.
    """
    mine = {"_kind": kind, "_object": object_id, "_repository": repository, "_pusher": pusher.key}
    more = {"_promises": promises, "_echoes": echoes, "_now": tx.now, "_until": tx.now + life}
    if tx.run(_GRANT, mine | more).rowcount:
        return
    values = {
        "kind": kind,
        "object_id": object_id,
        "repository": repository,
        "pusher": pusher.key,
        "user": pusher.user,
        "promises": promises,
        "echoes": echoes,
        "born": tx.now,
        "until": tx.now + life,
    }
    tx.run(_FIRST, values)


def echo(tx: Transaction, kind: Kind, object_id: int, repository: str, pusher: Pusher) -> bool:
    """Whether this question only follows an own upload or mount, which has its promise; used up by asking."""
    waiting = and_(_of(kind, object_id, repository, pusher), lease.c.echoes > 0, lease.c.until > tx.now)
    return tx.run(update(lease).where(waiting).values(echoes=lease.c.echoes - 1)).rowcount > 0


def _of(kind: Kind, object_id: int, repository: str, pusher: Pusher) -> ColumnElement[bool]:
    return and_(
        lease.c.kind == kind,
        lease.c.object_id == object_id,
        lease.c.repository == repository,
        lease.c.pusher == pusher.key,
    )


def take_back(tx: Transaction, kind: Kind, objects: Collection[int], repository: str, pusher: Pusher) -> list[Freed]:
    """Take one promise back from each object; returns those that this pusher has none left on."""
    if not objects:
        return []
    mine = and_(
        lease.c.kind == kind,
        lease.c.object_id.in_(sorted(objects)),
        lease.c.repository == repository,
        lease.c.pusher == pusher.key,
    )
    tx.run(update(lease).where(mine).values(promises=lease.c.promises - 1))
    return _drop(tx, and_(mine, lease.c.promises <= 0))


def lock_all(tx: Transaction, kind: Kind, repository: str, pusher: Pusher) -> list[int]:
    """Lock every promise of a kind that this pusher still has in a repository; returns the row ids."""
    mine = and_(lease.c.kind == kind, lease.c.repository == repository, lease.c.pusher == pusher.key)
    return list(tx.run(select(lease.c.id).where(mine).order_by(lease.c.id).with_for_update()).scalars())


def drop(tx: Transaction, ids: Collection[int]) -> list[Freed]:
    """Drop these rows, however many promises they hold. The caller has locked them."""
    return _drop(tx, lease.c.id.in_(sorted(ids))) if ids else []


def drop_expired(tx: Transaction, count: int) -> list[Freed]:
    due = select(lease.c.id).where(lease.c.until <= tx.now).order_by(lease.c.until).limit(count)
    ids = list(tx.run(due.with_for_update(skip_locked=True)).scalars())
    return drop(tx, ids)


def drop_of(tx: Transaction, kind: Kind, objects: Iterable[int]) -> None:
    """Leases of objects that are gone."""
    ids = sorted(objects)
    if ids:
        tx.run(delete(lease).where(lease.c.kind == kind, lease.c.object_id.in_(ids)))


def holding(tx: Transaction, kind: Kind, objects: Collection[int]) -> dict[int, int]:
    """Of these objects, those that a live lease holds, with the latest end in milliseconds."""
    if not objects:
        return {}
    rows = tx.run(
        select(lease.c.object_id, func.max(lease.c.until).label("latest"))
        .where(lease.c.kind == kind, lease.c.object_id.in_(sorted(objects)), lease.c.until > tx.now)
        .group_by(lease.c.object_id)
    )
    return {row.object_id: row.latest for row in rows}


def renew(tx: Transaction, repository: str, pusher: Pusher, *, life: int) -> None:
    """Extend this pusher's live promises in a repository that are past half of their life and under a day old."""
    mine = {"_pusher": pusher.key, "_repository": repository}
    times = {"_now": tx.now, "_half": tx.now + life // 2, "_oldest": tx.now - MAX_AGE, "until": tx.now + life}
    tx.run(_RENEW, mine | times)


def of_pusher(tx: Transaction, repository: str, pusher: Pusher) -> list[Promised]:
    """What this pusher is promised in a repository."""
    mine = and_(lease.c.pusher == pusher.key, lease.c.repository == repository, lease.c.until > tx.now)
    return [
        Promised(row.id, row.kind, row.object_id)
        for row in tx.run(select(lease.c.id, lease.c.kind, lease.c.object_id).where(mine))
    ]


def shorten(tx: Transaction, ids: Collection[int], *, life: int) -> None:
    """Let these promises end soon, unless their pusher goes on, see `renew`."""
    tx.run(update(lease).where(lease.c.id.in_(sorted(ids)), lease.c.until > tx.now + life).values(until=tx.now + life))


def leased_to(tx: Transaction, kind: Kind, object_id: int, user: str, repository: str | None = None) -> bool:
    """Whether the user was promised the object, in this repository or, without one, in any."""
    statement = select(lease.c.id).where(
        lease.c.kind == kind, lease.c.object_id == object_id, lease.c.user == user, lease.c.until > tx.now
    )
    if repository is not None:
        statement = statement.where(lease.c.repository == repository)
    return tx.run(statement.limit(1)).first() is not None


def leased_among(tx: Transaction, kind: Kind, objects: Collection[int], user: str, repository: str) -> set[int]:
    """Those of the objects that the user was promised in this repository."""
    if not objects:
        return set()
    mine = and_(lease.c.kind == kind, lease.c.object_id.in_(sorted(objects)), lease.c.user == user)
    return set(
        tx.run(
            select(lease.c.object_id).where(mine, lease.c.repository == repository, lease.c.until > tx.now)
        ).scalars()
    )


def leased_in(tx: Transaction, kind: Kind, object_id: int, repository: str) -> bool:
    """Whether anybody was promised the object in this repository."""
    theirs = and_(lease.c.kind == kind, lease.c.object_id == object_id, lease.c.repository == repository)
    return tx.run(select(lease.c.id).where(theirs, lease.c.until > tx.now).limit(1)).first() is not None


def give_up(tx: Transaction, kind: Kind, object_id: int, repository: str, keys: Collection[str]) -> None:
    """Drop whatever these pushers were promised of the object in the repository."""
    mine = and_(lease.c.kind == kind, lease.c.object_id == object_id, lease.c.repository == repository)
    tx.run(delete(lease).where(mine, lease.c.pusher.in_(sorted(keys))))


def _drop(tx: Transaction, which: ColumnElement[bool]) -> list[Freed]:
    rows = tx.run(select(lease.c.id, lease.c.kind, lease.c.object_id).where(which)).all()
    if rows:
        tx.run(delete(lease).where(lease.c.id.in_([row.id for row in rows])))
    return [Freed(row.kind, row.object_id) for row in rows]
