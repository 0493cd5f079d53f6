"""Promises of pushes: what a client was told exists, or sent, stays until its tag or manifest holds it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from pier_registry import engines
from pier_registry.actions.registry import Caller, Registry
from pier_registry.metadata import leases, manifests, repositories, sessions, uploads
from pier_registry.metadata.session import Transaction
from pier_registry.metadata.sessions import PushSession
from pier_registry.names import ImageId, RepositoryName

# Milliseconds. Who looks at a tag to set it sends its manifest in the next request.
_LOOKED: Final = 10_000
_ASKS_AGAIN: Final = re.compile(engines.ASKS_AGAIN)
_ASKS_BEFORE_MOUNT: Final = re.compile(engines.ASKS_BEFORE_MOUNT)
_ON_CONTAINERD: Final = re.compile(engines.ON_CONTAINERD)


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
    echoes = 1 if _ASKS_AGAIN.match(caller.agent) else 0
    life = registry.lease
    leases.grant(tx, "layer", layer_row, repository.full, caller.pusher, life=life, echoes=echoes)
    leases.renew(tx, repository.full, caller.pusher, life=life)


def give_asked(
    registry: Registry, tx: Transaction, caller: Caller, repository: RepositoryName, kind: leases.Kind, row_id: int
) -> None:
    """One promise of what a HEAD says exists. The caller of this holds the object's lock."""
    if not leases.echo(tx, kind, row_id, repository.full, caller.pusher):
        leases.grant(tx, kind, row_id, repository.full, caller.pusher, life=registry.lease)


def end_asked(tx: Transaction, caller: Caller, source: RepositoryName, layer_row: int) -> None:
    """Of who asks for a blob in order to mount it from there: the mount is what that question was for.

    The caller of this holds the layer's lock, and has promised it to the pusher elsewhere.
    """
    if _ASKS_BEFORE_MOUNT.match(caller.agent):
        leases.take_back(tx, "layer", [layer_row], source.full, caller.pusher)


def may_be_done(registry: Registry, caller: Caller, repository: RepositoryName, digest: str) -> None:
    """A pusher looked where a tag is, and its manifest holds all that he was promised: he is done, or goes on at once.

    Those on containerd's library end so when there is nothing to push; they send nothing that would say it.
    """
    if not _ON_CONTAINERD.match(caller.agent):
        return
    if not registry.metadata.read(lambda tx: _all_held(tx, caller, repository, digest)):
        return

    def work(tx: Transaction) -> None:
        leases.shorten(tx, _all_held(tx, caller, repository, digest), life=_LOOKED)

    registry.metadata.write(work)


def _all_held(tx: Transaction, caller: Caller, repository: RepositoryName, digest: str) -> list[int]:
    """The pusher's promises here, if the manifest and those below hold everything that they keep; else none."""
    promised = leases.of_pusher(tx, repository.full, caller.pusher)
    if not promised or uploads.sends_to(tx, caller.user, repository.full):
        return []
    home = repositories.find(tx, repository)
    known = manifests.find(tx, home.id, digest) if home else None
    tree = manifests.tree(tx, [known.id]) if known else []
    held = {("manifest", row) for row in tree} | {("layer", row) for row in manifests.layers_of(tx, tree)}
    return [one.id for one in promised] if held.issuperset((one.kind, one.object_id) for one in promised) else []
