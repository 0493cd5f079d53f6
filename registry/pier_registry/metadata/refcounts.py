"""The reference algebra: the only file that changes a `cnt`.

Take before release, always, in one transaction: a tag that moves between images that share a base must never see
the base at zero. A release cascades: what nobody holds and no lease protects goes, and releases what it held,
manifests first, then images from the top down, then layers, each locked in one sorted order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, Table, delete, select, update

from pier_registry.metadata import images, leases, manifests, outbox
from pier_registry.metadata.layers import Arrival
from pier_registry.metadata.schema import image, image_view, layer, manifest, manifest_child, manifest_layer
from pier_registry.metadata.session import Transaction
from pier_registry.names import Digest


@dataclass(frozen=True, slots=True)
class GoneLayer:
    """A layer whose row is gone; its file goes after the commit, by outbox row `outbox`."""

    digest: Digest
    size: int
    generation: str
    outbox: int


@dataclass(frozen=True, slots=True)
class PromisedLayer:
    """A layer that nobody holds any more, kept until `until` (ms) because a lease protects it."""

    digest: Digest
    size: int
    until: int


@dataclass(slots=True)
class Released:
    """What a release removed, in the order it went."""

    manifests: list[str] = field(default_factory=list)
    images: list[str] = field(default_factory=list)
    layers: list[GoneLayer] = field(default_factory=list)
    promised: list[PromisedLayer] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Bytes of the layers that are forgotten."""
        return sum(layer.size for layer in self.layers)

    def join(self, other: Released) -> None:
        self.manifests += other.manifests
        self.images += other.images
        self.layers += other.layers
        self.promised += other.promised


@dataclass(slots=True)
class _Loosened:
    """Layers that lose holders: by rows that go, and by rows that only a lease still keeps (with its end)."""

    gone: Counter[int] = field(default_factory=Counter)
    kept: dict[int, int] = field(default_factory=dict)
    kept_count: Counter[int] = field(default_factory=Counter)

    def lose(self, layer_id: int) -> None:
        self.gone[layer_id] += 1

    def promise(self, layer_id: int, until: int) -> None:
        self.kept[layer_id] = max(until, self.kept.get(layer_id, 0))
        self.kept_count[layer_id] += 1


def take(
    tx: Transaction, *, manifests: Collection[int] = (), images: Collection[int] = (), layers: Collection[int] = ()
) -> None:
    """One more direct holder for each. The caller has locked the rows and seen that they exist."""
    for table, ids in ((manifest, manifests), (image, images), (layer, layers)):
        if ids:
            tx.run(update(table).where(table.c.id.in_(sorted(ids))).values(cnt=table.c.cnt + 1))


def release(
    tx: Transaction, *, manifests: Collection[int] = (), images: Collection[int] = (), layers: Collection[int] = ()
) -> Released:
    """One direct holder less for each, as often as it is named, and everything that now nobody holds, gone."""
    lock_manifests(tx, manifests)
    lock_images(tx, images)
    _lower(tx, manifest, Counter(manifests))
    _lower(tx, image, Counter(images))
    _lower(tx, layer, Counter(layers))
    return reap(tx, manifests=manifests, images=images, layers=layers)


def reap(
    tx: Transaction, *, manifests: Collection[int] = (), images: Collection[int] = (), layers: Collection[int] = ()
) -> Released:
    """Remove those of the given objects that nobody holds and no lease protects, and cascade."""
    released = Released()
    loosened = _Loosened()
    _reap_manifests(tx, manifests, released, loosened)
    _reap_images(tx, images, released, loosened)
    _reap_layers(tx, layers, released, loosened)
    return released


def remove(tx: Transaction, row_id: int, tagged: int) -> Released:
    """A manifest that was asked to go, with the holds of its `tagged` tags, even if its subject would keep it."""
    lock_manifests(tx, [row_id])
    _lower(tx, manifest, Counter({row_id: tagged}) if tagged else {})
    released = Released()
    loosened = _Loosened()
    _reap_manifests(tx, [row_id], released, loosened, doomed=row_id)
    _reap_layers(tx, (), released, loosened)
    return released


def reap_freed(tx: Transaction, freed: Iterable[leases.Freed]) -> Released:
    """Reap what lost its last promise of a pusher."""
    by_kind: dict[str, set[int]] = {"manifest": set(), "image": set(), "layer": set()}
    for item in freed:
        by_kind[item.kind].add(item.object_id)
    return reap(tx, manifests=by_kind["manifest"], images=by_kind["image"], layers=by_kind["layer"])


def unneeded(tx: Transaction, arrival: Arrival) -> GoneLayer:
    """Queue the file of bytes that the registry has already."""
    entry = outbox.add_layer(tx, arrival.digest, arrival.generation, arrival.size)
    return GoneLayer(arrival.digest, arrival.size, arrival.generation, entry)


def lock_manifests(tx: Transaction, row_ids: Collection[int]) -> None:
    """Lock these manifests and all below them, youngest first."""
    ids = manifests.tree(tx, row_ids)
    if ids:
        tx.run(
            select(manifest.c.id).where(manifest.c.id.in_(ids)).order_by(manifest.c.id.desc()).with_for_update()
        ).all()


def lock_layers(tx: Transaction, row_ids: Collection[int]) -> None:
    """Old and new holds of one change together, oldest first."""
    ids = sorted(set(row_ids))
    if ids:
        tx.run(select(layer.c.id).where(layer.c.id.in_(ids)).order_by(layer.c.id).with_for_update()).all()


def lock_images(tx: Transaction, row_ids: Collection[int]) -> None:
    """Lock these images and all their ancestors in the one order that everybody uses."""
    if not row_ids:
        return
    ids = [known.id for known in images.chain(tx, row_ids)]
    tx.run(select(image.c.id).where(image.c.id.in_(ids)).order_by(image.c.id.desc()).with_for_update()).all()


def _lower(tx: Transaction, table: Table, holders: Mapping[int, int]) -> None:
    for lost in sorted(set(holders.values())):
        ids = sorted(row for row, count in holders.items() if count == lost)
        tx.run(update(table).where(table.c.id.in_(ids)).values(cnt=table.c.cnt - lost))


def _reap_manifests(
    tx: Transaction,
    candidates: Collection[int],
    released: Released,
    loosened: _Loosened,
    *,
    doomed: int | None = None,
) -> None:
    """Highest id first: an index is younger than its children. Referrers go with their subject."""
    waiting = set(candidates)
    while waiting:
        row_id = max(waiting)
        waiting.discard(row_id)
        row = tx.run(select(manifest).where(manifest.c.id == row_id).with_for_update()).one_or_none()
        if row is None or row.cnt > 0:
            continue
        if row_id != doomed and _subject_lives(tx, row.repository_id, row.subject_digest):
            continue
        layer_ids = list(tx.run(select(manifest_layer.c.layer_id).where(_edges_of(row_id))).scalars())
        held = leases.holding(tx, "manifest", [row_id])
        if held:
            for layer_id in layer_ids:
                loosened.promise(layer_id, held[row_id])
            continue
        waiting |= _remove_manifest(tx, row_id)
        waiting |= set(manifests.referrer_rows(tx, row.repository_id, row.digest))
        released.manifests.append(row.digest)
        for layer_id in layer_ids:
            loosened.lose(layer_id)


def _edges_of(manifest_id: int) -> ColumnElement[bool]:
    return manifest_layer.c.manifest_id == manifest_id


def _remove_manifest(tx: Transaction, row_id: int) -> set[int]:
    """Delete a manifest and its edges; returns the children, one holder fewer."""
    children = set(tx.run(select(manifest_child.c.child_id).where(manifest_child.c.parent_id == row_id)).scalars())
    tx.run(delete(manifest_child).where(manifest_child.c.parent_id == row_id))
    tx.run(delete(manifest_layer).where(manifest_layer.c.manifest_id == row_id))
    tx.run(delete(image_view).where(image_view.c.manifest_id == row_id))
    leases.drop_of(tx, "manifest", [row_id])
    tx.run(delete(manifest).where(manifest.c.id == row_id))
    _lower(tx, manifest, Counter(children))
    return children


def _subject_lives(tx: Transaction, repository_id: int, subject: str | None) -> bool:
    if subject is None:
        return False
    return manifests.find(tx, repository_id, subject, lock=True) is not None  # it may be about to go


def _reap_images(tx: Transaction, candidates: Collection[int], released: Released, loosened: _Loosened) -> None:
    """One lock for the whole ancestry, then from the youngest down: a child's row is younger than its parent's."""
    if not candidates:
        return
    lock_images(tx, candidates)
    chain = images.chain(tx, candidates)
    held = leases.holding(tx, "image", [known.id for known in chain])
    count = {known.id: known.cnt for known in chain}
    loose = set(candidates)
    until: dict[int, int] = {}
    dead: list[images.Image] = []
    for known in chain:
        if known.id not in loose or count[known.id] > 0:
            continue
        end = max(held.get(known.id, 0), until.get(known.id, 0))
        if end:
            loosened.promise(known.layer_id, end)
        else:
            dead.append(known)
            loosened.lose(known.layer_id)
        if known.parent_id is not None:
            count[known.parent_id] -= 1
            loose.add(known.parent_id)
            if end:
                until[known.parent_id] = max(end, until.get(known.parent_id, 0))
    _remove_images(tx, dead)
    released.images += [known.image_id for known in dead]


def _remove_images(tx: Transaction, dead: list[images.Image]) -> None:
    if not dead:
        return
    ids = sorted(known.id for known in dead)
    survivors = Counter(known.parent_id for known in dead if known.parent_id and known.parent_id not in set(ids))
    leases.drop_of(tx, "image", ids)
    # InnoDB checks foreign keys row by row: unlink the dead from each other first.
    tx.run(update(image).where(image.c.id.in_(ids)).values(parent_id=None))
    tx.run(delete(image).where(image.c.id.in_(ids)))
    _lower(tx, image, survivors)


def _reap_layers(tx: Transaction, candidates: Collection[int], released: Released, loosened: _Loosened) -> None:
    ids = sorted(set(candidates) | set(loosened.gone) | set(loosened.kept))
    if not ids:
        return
    lock_layers(tx, ids)
    _lower(tx, layer, loosened.gone)
    rows = tx.run(select(layer).where(layer.c.id.in_(ids)).order_by(layer.c.id)).all()
    held = leases.holding(tx, "layer", ids)
    dead = []
    for row in rows:
        until = max(held.get(row.id, 0), loosened.kept.get(row.id, 0))
        if row.cnt > loosened.kept_count[row.id]:
            continue
        if until:
            released.promised.append(PromisedLayer(Digest.parse(row.digest), row.size, until))
        elif row.cnt == 0:
            dead.append(row)
    if dead:
        leases.drop_of(tx, "layer", [row.id for row in dead])
        tx.run(delete(layer).where(layer.c.id.in_([row.id for row in dead])))
    for row in dead:
        size = 0 if row.lost else row.size
        entry = outbox.add_layer(tx, Digest.parse(row.digest), row.generation, size)
        released.layers.append(GoneLayer(Digest.parse(row.digest), size, row.generation, entry))
