"""Delete a tag or a repository: whatever only it held goes with it, and its bytes are back before the answer."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Final

from pier_registry import errors
from pier_registry.actions import files, receipt
from pier_registry.actions.files import Dropped
from pier_registry.actions.receipt import KeptLayer, Receipt
from pier_registry.actions.registry import Caller, Registry
from pier_registry.metadata import events, holders, manifests, refcounts, repositories, tags
from pier_registry.metadata.refcounts import Released
from pier_registry.metadata.session import Transaction
from pier_registry.names import RepositoryName, TagName

BATCH: Final = 200
PREVIEW_FOR: Final = 1.0


@dataclass(frozen=True, slots=True)
class _Removed:
    released: Released
    kept: tuple[KeptLayer, ...] = ()
    tags: list[str] = field(default_factory=list)


def tag(
    registry: Registry,
    caller: Caller,
    repository: RepositoryName,
    name: TagName,
    *,
    explain: bool = False,
    force: bool = False,
) -> Receipt:
    """Remove one tag and everything that only it held; `explain` also names what is kept, and by whom.

    With `force`, an admin's, promises to running pushes do not keep anything of it.

    Raises TagUnknown, Denied. Registry v1, "DELETE tags"; OCI distribution-spec 1.1, "Deleting tags".
    """
    caller.require("delete-repository" if force else "delete", repository.full)

    def work(tx: Transaction) -> _Removed:
        if force:
            _break_promises(tx, repository, name)
        return _remove_tag(tx, caller, repository, name, explain)

    removed = files.forget(registry, work)
    dropped = files.drop(registry, removed.released.layers)
    return receipt.of(repository.short, removed.tags, removed.released, removed.kept, dropped)


def preview_tag(registry: Registry, caller: Caller, repository: RepositoryName, name: TagName) -> Receipt:
    """The receipt that `tag` would give now: the same transaction, rolled back."""
    caller.require("delete", repository.full)
    with _one_preview_of(caller):
        removed = registry.metadata.write(lambda tx: _remove_tag(tx, caller, repository, name, True), preview=True)
    return _foreseen(repository, removed)


def repository(registry: Registry, caller: Caller, name: RepositoryName) -> Receipt:
    """Remove a repository: hidden at once, then its tags in batches, so that no lock is held for long.

    Raises RepositoryUnknown, Denied. A crash half-way is finished in the background.
    """
    caller.require("delete-repository", name.full)
    row_id = files.forget(registry, lambda tx: _hide(tx, caller, name))
    return finish(registry, caller, name.short, row_id)


def preview_repository(registry: Registry, caller: Caller, name: RepositoryName) -> Receipt:
    """Raises Busy when it would hold the database's write lock for more than a second."""
    caller.require("delete-repository", name.full)
    deadline = time.monotonic() + PREVIEW_FOR

    def foresee(tx: Transaction) -> _Removed:
        row_id = _hide(tx, caller, name)
        whole = _Removed(Released())
        while batch := _remove_some(tx, caller, row_id):
            _add(whole, batch)
            if time.monotonic() > deadline:
                raise errors.Busy("this repository is too large for a preview: preview its tags one by one")
        return whole

    with _one_preview_of(caller):
        return _foreseen(name, registry.metadata.write(foresee, preview=True))


def finish(registry: Registry, caller: Caller, name: str, row_id: int) -> Receipt:
    """Remove what a hidden repository still holds, then its row."""
    whole = _Removed(Released())
    dropped = Dropped()
    while batch := files.forget(registry, lambda tx: _remove_some(tx, caller, row_id)):
        dropped += files.drop(registry, batch.released.layers)
        _add(whole, batch)
    return receipt.of(name, whole.tags, whole.released, (), dropped)


def _remove_tag(tx: Transaction, caller: Caller, repository: RepositoryName, name: TagName, explain: bool) -> _Removed:
    home = repositories.find(tx, repository, lock=True)
    known = tags.find(tx, home.id, name, lock=True) if home else None
    if home is None or known is None:
        raise errors.TagUnknown(repository.spelt, name, v1_text=f"Tag not found: {name}")
    reach = holders.layers_of_tag(tx, known) if explain else []
    tags.remove(tx, known.id)
    released = _release(tx, [known])
    repositories.remove_if_empty(tx, home.id)
    events.add(tx, caller.user, "delete", repository=repository.full, reference=name, freed=released.size)
    return _Removed(released, _kept(tx, caller, reach, released), [str(name)])


def _break_promises(tx: Transaction, repository: RepositoryName, name: TagName) -> None:
    home = repositories.find(tx, repository, lock=True)
    known = tags.find(tx, home.id, name, lock=True) if home else None
    if known is None:
        return
    below = manifests.tree(tx, [known.manifest_row] if known.manifest_row is not None else [])
    holders.break_promises(tx, below, [known.image_row] if known.image_row is not None else [])


def _release(tx: Transaction, gone: Collection[tags.Tag]) -> Released:
    return refcounts.release(
        tx,
        manifests=[known.manifest_row for known in gone if known.manifest_row is not None],
        images=[known.image_row for known in gone if known.image_row is not None],
    )


def _hide(tx: Transaction, caller: Caller, name: RepositoryName) -> int:
    home = repositories.find(tx, name, lock=True)
    if home is None:
        raise errors.RepositoryUnknown(name.spelt)
    repositories.hide(tx, home.id)
    events.add(tx, caller.user, "delete-repository", repository=name.full)
    return home.id


def _remove_some(tx: Transaction, caller: Caller, row_id: int) -> _Removed | None:
    """Up to BATCH tags of a hidden repository, or at the end its untagged manifests and its row; None when done."""
    repositories.touch(tx, row_id)
    batch = tags.some(tx, row_id, BATCH)
    if not batch:
        return _remove_rest(tx, caller, row_id)
    for known in batch:
        tags.remove(tx, known.id)
    released = _release(tx, batch)
    events.add(tx, caller.user, "reclaim", repository=f"#{row_id}", freed=released.size)
    return _Removed(released, tags=[str(known.name) for known in batch])


def _remove_rest(tx: Transaction, caller: Caller, row_id: int) -> _Removed | None:
    released = refcounts.reap(tx, manifests=holders.manifests_of(tx, row_id))
    repositories.remove_if_empty(tx, row_id)
    if not released.manifests:
        return None
    events.add(tx, caller.user, "reclaim", repository=f"#{row_id}", freed=released.size)
    return _Removed(released)


def _add(whole: _Removed, batch: _Removed) -> None:
    whole.released.join(batch.released)
    whole.tags.extend(batch.tags)


def _kept(tx: Transaction, caller: Caller, reach: list[int], released: Released) -> tuple[KeptLayer, ...]:
    promised = {layer.digest for layer in released.promised}
    held = holders.of_layers(tx, reach, lambda name: caller.may("pull", name))
    return tuple(
        KeptLayer(str(layer.digest), layer.size, layer.cnt, layer.held_by, layer.others)
        for layer in held
        if layer.digest not in promised
    )


def _foreseen(name: RepositoryName, removed: _Removed) -> Receipt:
    return receipt.of(name.short, removed.tags, removed.released, removed.kept, Dropped(removed.released.size))


_previews: set[str] = set()
_previews_lock = Lock()


@contextmanager
def _one_preview_of(caller: Caller) -> Iterator[None]:
    with _previews_lock:
        if caller.user in _previews:
            raise errors.Busy("a preview of yours is running: wait for it")
        _previews.add(caller.user)
    try:
        yield
    finally:
        with _previews_lock:
            _previews.discard(caller.user)
