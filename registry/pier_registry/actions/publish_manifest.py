"""Publish a manifest: everything it names is there, it holds it, and the tags point at it, in one transaction.

The new is taken before the old is released; one promise of everything that the manifest now holds is taken back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from pier_registry import errors
from pier_registry.actions import files, give_face, grace, manifest_body, promises, receipt, visibility
from pier_registry.actions.give_face import Likeness
from pier_registry.actions.manifest_body import Description
from pier_registry.actions.receipt import Receipt
from pier_registry.actions.registry import Caller, Registry
from pier_registry.metadata import events, images, layers, leases, manifests, refcounts, repositories, tags
from pier_registry.metadata.layers import Layer
from pier_registry.metadata.manifests import Draft, Manifest
from pier_registry.metadata.refcounts import Released
from pier_registry.metadata.session import Transaction
from pier_registry.metadata.tags import Tag
from pier_registry.names import Digest, RepositoryName, TagName


@dataclass(frozen=True, slots=True)
class Pushed:
    """A manifest as it came: under a digest, under tags, or both."""

    body: bytes
    content_type: str
    digest: Digest | None
    tags: Sequence[TagName]


@dataclass(frozen=True, slots=True)
class Published:
    digest: Digest
    subject: Digest | None
    receipt: Receipt


def publish(registry: Registry, caller: Caller, repository: RepositoryName, pushed: Pushed) -> Published:
    """Store a manifest and set its tags; what they pointed at before goes, if nothing else holds it.

    Raises ManifestInvalid, BlobsMissing, ContentWrong, TooLarge, Denied, DiskFull. distribution-spec 1.1, end-7.
    """
    caller.require("push", repository.full)
    files.room_for(registry, len(pushed.body))
    if len(pushed.body) > registry.settings.max_manifest:
        raise errors.TooLarge("the manifest is larger than PIER_MAX_MANIFEST")
    digest = _digest_of(pushed)
    description = manifest_body.describe(pushed.body, pushed.content_type, registry.settings.max_descriptors)

    likeness = give_face.likeness(registry, description, pushed.body)

    def work(tx: Transaction) -> Released:
        return _Publishing(registry, tx, caller, repository, pushed, digest, description, likeness).run()

    released = registry.metadata.write(work)
    dropped = files.drop(registry, released.layers)
    return Published(digest, description.subject, receipt.of(repository.short, [], released, (), dropped))


def _digest_of(pushed: Pushed) -> Digest:
    algorithm = pushed.digest.algorithm if pushed.digest else "sha256"
    found = Digest(algorithm, hashlib.new(algorithm, pushed.body).hexdigest())
    if pushed.digest and found != pushed.digest:
        raise errors.ContentWrong(str(pushed.digest), str(found))
    return found


@dataclass(frozen=True)
class _Publishing:
    """One transaction of it."""

    registry: Registry
    tx: Transaction
    caller: Caller
    repository: RepositoryName
    pushed: Pushed
    digest: Digest
    description: Description
    likeness: Likeness | None

    def run(self) -> Released:
        tx, home = self.tx, self._home
        old = [tags.claim(tx, home, name) for name in sorted(self.pushed.tags)]
        held, children = self._lock(old)
        row = manifests.find(tx, home, self.digest, lock=True)
        if row and row.media_type != self.description.media_type:
            raise errors.ManifestInvalid(f"the repository has this manifest as {row.media_type}: push it as that")
        row_id = row.id if row else self._insert(held, children)
        give_face.give(tx, row_id, self.likeness, self.pushed.body, children)
        released = self._point(row_id, old)
        if not old:
            self._promise(row_id)
        released.join(self._take_back(row_id, held, children, tagged=bool(old)))
        leases.renew(tx, self.repository.full, self.caller.pusher, life=self.registry.lease)
        reference = ", ".join(tag.name for tag in old) or str(self.digest)
        events.add(
            tx,
            self.caller.user,
            "push",
            repository=self.repository.full,
            reference=reference[:255],
            freed=released.size,
        )
        return released

    @cached_property
    def _home(self) -> int:
        return repositories.find_or_create(self.tx, self.repository).id

    def _lock(self, old: Collection[Tag]) -> tuple[dict[str, Layer], dict[str, Manifest]]:
        """Lock old and new together in the one order, then see that all that is named is there."""
        tx, home = self.tx, self._home
        old_manifests = [tag.manifest_row for tag in old if tag.manifest_row is not None]
        old_images = [tag.image_row for tag in old if tag.image_row is not None]
        named = [self.digest, *self.description.manifests]
        new = [found.id for found in manifests.among(tx, home, named).values()]
        refcounts.lock_manifests(tx, [*new, *old_manifests])
        refcounts.lock_images(tx, old_images)
        held = layers.among(tx, self.description.blobs)
        below = manifests.layers_of(tx, manifests.tree(tx, old_manifests))
        below += [link.layer_id for link in images.chain(tx, old_images)]
        refcounts.lock_layers(tx, [*below, *(layer.id for layer in held.values())])
        return self._present(), self._children()

    def _present(self) -> dict[str, Layer]:
        """Blobs that the manifest will hold, by digest. Raises BlobsMissing."""
        held = {name: layer for name, layer in layers.among(self.tx, self.description.blobs).items() if not layer.lost}
        seen = visibility.blobs_shown(self.tx, self.caller, self.repository, {layer.id for layer in held.values()})
        shown = {name: layer for name, layer in held.items() if layer.id in seen}
        optional = self.description.optional
        missing = [str(each) for each in self.description.blobs if str(each) not in shown and each not in optional]
        if missing:
            raise errors.BlobsMissing(missing)
        self._measure(shown)
        return shown

    def _children(self) -> dict[str, Manifest]:
        found = manifests.among(self.tx, self._home, self.description.manifests)
        missing = [str(each) for each in self.description.manifests if str(each) not in found]
        if missing:
            raise errors.BlobsMissing(missing)
        self._measure(found)
        return found

    def _measure(self, found: Mapping[str, Layer] | Mapping[str, Manifest]) -> None:
        """Clients refuse content that is longer or shorter than its descriptor says. Raises ManifestInvalid."""
        for digest, size in self.description.sizes.items():
            known = found.get(str(digest))
            if known is not None and known.size != size:
                raise errors.ManifestInvalid(f"the descriptor of {digest} says {size} bytes, but it has {known.size}")

    def _insert(self, held: dict[str, Layer], children: dict[str, Manifest]) -> int:
        told = self.description
        layer_rows = [held[str(each)].id for each in told.blobs if str(each) in held]
        child_rows = [children[str(each)].id for each in told.manifests]
        refcounts.take(self.tx, manifests=child_rows, layers=layer_rows)
        draft = Draft(
            digest=self.digest,
            media_type=told.media_type,
            artifact_type=told.artifact_type,
            annotations=told.annotations if told.subject else {},
            body=self.pushed.body,
            subject=told.subject,
            config_row=held[str(told.config)].id if told.config else None,
            layer_rows=layer_rows,
            child_rows=child_rows,
        )
        return manifests.insert(self.tx, self._home, draft)

    def _point(self, row_id: int, old: Collection[Tag]) -> Released:
        """A tag that points here already keeps its v1 face; any other takes the new, then lets go of the old."""
        tx = self.tx
        leaving = [tag for tag in old if tag.manifest_row != row_id]
        for tag in old:
            image_row = None if tag in leaving else tag.image_row
            tags.point(tx, tag, image_row=image_row, manifest_row=row_id, agent={})
        for _ in leaving:
            refcounts.take(tx, manifests=[row_id])
        manifest_rows = [tag.manifest_row for tag in leaving if tag.manifest_row is not None]
        grace.give(self.registry, tx, self.repository, manifest_rows)
        if old:
            grace.end(tx, self.repository, row_id)
        image_rows = [tag.image_row for tag in leaving if tag.image_row is not None]
        return refcounts.release(tx, manifests=manifest_rows, images=image_rows)

    def _promise(self, row_id: int) -> None:
        """A manifest without a tag waits for its index or tag; a referrer is held by its subject, if that is there."""
        subject = self.description.subject
        if subject is None or manifests.find(self.tx, self._home, subject, lock=True) is None:
            promises.give_asked(self.registry, self.tx, self.caller, self.repository, "manifest", row_id)

    def _take_back(
        self, row_id: int, held: dict[str, Layer], children: dict[str, Manifest], *, tagged: bool
    ) -> Released:
        """One promise of each thing that is held now: blobs, children, referrers, and itself by its tags."""
        tx, where, pusher = self.tx, self.repository.full, self.caller.pusher
        holds = {child.id for child in children.values()} | set(manifests.referrer_rows(tx, self._home, self.digest))
        freed = leases.take_back(tx, "manifest", holds | ({row_id} if tagged else set()), where, pusher)
        freed += leases.take_back(tx, "layer", {layer.id for layer in held.values()}, where, pusher)
        return refcounts.reap_freed(tx, freed)
