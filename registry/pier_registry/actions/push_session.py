"""A v1 push opens a session with the ids it will need, and closes it when its tags are set."""

from __future__ import annotations

from collections.abc import Collection

from pier_registry import errors
from pier_registry.actions import files
from pier_registry.actions.registry import Caller, Registry
from pier_registry.metadata import images, leases, refcounts, sessions
from pier_registry.metadata.refcounts import Released
from pier_registry.metadata.session import Transaction
from pier_registry.metadata.sessions import PushSession
from pier_registry.names import ImageId, RepositoryName


def begin(
    registry: Registry, caller: Caller, repository: RepositoryName, announced: Collection[ImageId], tags: int
) -> None:
    """Announce the images that the push needs and how many tags it will set.

    Raises Denied, TooManyRequests. Registry v1, "PUT repository".
    """
    caller.require("push", repository.full)
    limit = registry.settings.max_sessions

    def work(tx: Transaction) -> None:
        if sessions.count(tx, caller.user) >= limit:
            raise errors.TooManyRequests("too many open pushes of this user (PIER_MAX_SESSIONS): finish some", 60)
        # Announcing the very same again is a retry: the push it left behind must not keep promises for a day.
        for known in sessions.of(tx, caller.pusher):
            if (known.repository, known.announced, known.tags) == (repository.full, frozenset(announced), tags):
                sessions.close(tx, known.id)
        sessions.open_session(tx, caller.pusher, repository.full, announced, tags)

    registry.metadata.write(work)


def end(registry: Registry, caller: Caller, repository: RepositoryName) -> None:
    """Close the oldest session of this pusher; promises that none of its others announced go too."""
    caller.require("push", repository.full)

    def work(tx: Transaction) -> Released:
        open_ones = _sessions(tx, caller, repository)
        if open_ones:
            sessions.close(tx, open_ones[0].id)
        left = leases.lock_all(tx, "image", repository.full, caller.pusher)
        # Asked under the lock: a push that begins meanwhile is seen, or gets its promises after this.
        needed = {image_id for known in _sessions(tx, caller, repository) for image_id in known.announced}
        kept = images.rows_of(tx, needed) if needed else set()
        return refcounts.reap_freed(tx, leases.drop(tx, [row for held, row in left.items() if held not in kept]))

    files.drop(registry, files.forget(registry, work).layers)


def _sessions(tx: Transaction, caller: Caller, repository: RepositoryName) -> list[PushSession]:
    return [known for known in sessions.of(tx, caller.pusher) if known.repository == repository.full]
