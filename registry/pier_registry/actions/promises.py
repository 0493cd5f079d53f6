"""Promises of pushes: what a client was told exists, or sent, stays until its tag or manifest holds it."""

from __future__ import annotations

from collections.abc import Iterable

from pier_registry.actions.registry import Caller, Registry
from pier_registry.metadata import leases, sessions
from pier_registry.metadata.session import Transaction
from pier_registry.metadata.sessions import PushSession
from pier_registry.names import ImageId, RepositoryName


def announcing(tx: Transaction, caller: Caller, image_id: ImageId) -> list[PushSession]:
    """The caller's open sessions that need this image."""
    return [known for known in sessions.of(tx, caller.pusher) if image_id in known.announced]


def give(
    registry: Registry,
    tx: Transaction,
    caller: Caller,
    row_id: int,
    announced: Iterable[PushSession],
    kind: leases.Kind = "image",
) -> None:
    """In each repository one promise for every tag of a push. The caller of this holds the object's lock.

    An image that was pushed over v2 is promised by its manifest.

    Two pushes of one pusher into one repository each ask for themselves, so what is told once is promised once.
    """
    tags: dict[str, int] = {}
    for push in announced:
        tags[push.repository] = max(push.tags, tags.get(push.repository, 0))
    for repository, count in sorted(tags.items()):
        leases.grant(tx, kind, row_id, repository, caller.pusher, life=registry.lease, promises=count)


def give_blob(registry: Registry, tx: Transaction, caller: Caller, repository: RepositoryName, layer_row: int) -> None:
    """One promise of a blob that was uploaded or mounted. The caller of this holds the layer's lock.

    docker asks for each blob once more after that, and one that is asked for is promised: that question is an echo.
    """
    echoes = 1 if caller.agent.startswith("docker/") else 0
    life = registry.lease
    leases.grant(tx, "layer", layer_row, repository.full, caller.pusher, life=life, echoes=echoes)
    leases.renew(tx, repository.full, caller.pusher, life=life)


def give_asked(
    registry: Registry, tx: Transaction, caller: Caller, repository: RepositoryName, kind: leases.Kind, row_id: int
) -> None:
    """One promise of what a HEAD says exists. The caller of this holds the object's lock."""
    if not leases.echo(tx, kind, row_id, repository.full, caller.pusher):
        leases.grant(tx, kind, row_id, repository.full, caller.pusher, life=registry.lease)
