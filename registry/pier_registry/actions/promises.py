"""Promises of v1 pushes: what a client was told exists, or sent, stays until its tag holds it or its push ends."""

from __future__ import annotations

from collections.abc import Iterable

from pier_registry.actions.registry import Caller, Registry
from pier_registry.metadata import leases, sessions
from pier_registry.metadata.session import Transaction
from pier_registry.metadata.sessions import PushSession
from pier_registry.names import ImageId


def announcing(tx: Transaction, caller: Caller, image_id: ImageId) -> list[PushSession]:
    """The caller's open sessions that need this image."""
    return [known for known in sessions.of(tx, caller.pusher) if image_id in known.announced]


def give(registry: Registry, tx: Transaction, caller: Caller, row_id: int, announced: Iterable[PushSession]) -> None:
    """In each repository one promise for every tag of a push. The caller of this holds the image's lock.

    Two pushes of one pusher into one repository each ask for themselves, so what is told once is promised once.
    """
    tags: dict[str, int] = {}
    for push in announced:
        tags[push.repository] = max(push.tags, tags.get(push.repository, 0))
    for repository, count in sorted(tags.items()):
        leases.grant(tx, "image", row_id, repository, caller.pusher, life=registry.lease, promises=count)
