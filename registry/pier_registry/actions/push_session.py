"""A v1 push opens a session with the ids it will need, and closes it when its tags are set."""

from __future__ import annotations

from collections.abc import Collection

from pier_registry import errors
from pier_registry.actions import files
from pier_registry.actions.registry import Caller, Registry
from pier_registry.metadata import leases, refcounts, sessions
from pier_registry.metadata.refcounts import Released
from pier_registry.metadata.session import Transaction
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
    """End a push; with the last one of this pusher in the repository, every promise that is left there goes."""
    caller.require("push", repository.full)

    def work(tx: Transaction) -> Released:
        if not sessions.end(tx, caller.pusher, repository.full):
            return Released()
        left = leases.lock_all(tx, "image", repository.full, caller.pusher)
        left += leases.lock_all(tx, "manifest", repository.full, caller.pusher)  # of images that came over v2
        # Asked under the lock: a push that begins meanwhile is seen, or gets its promises after this.
        if sessions.some(tx, caller.pusher, repository.full):
            return Released()
        return refcounts.reap_freed(tx, leases.drop(tx, left))

    files.drop(registry, files.forget(registry, work).layers)
