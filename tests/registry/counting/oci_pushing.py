"""One v2 client without a door: it asks, mounts, uploads, publishes and deletes by the registry's own actions."""

from __future__ import annotations

import io
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from pier_registry import errors
from pier_registry.actions import blob_upload, delete, delete_manifest, publish_manifest, pull_manifest
from pier_registry.actions.blob_upload import Piece
from pier_registry.actions.publish_manifest import Pushed
from pier_registry.actions.receipt import Receipt
from pier_registry.actions.registry import Caller, Registry
from pier_registry.names import Digest, TagName
from tests.registry.counting import pushing
from tests.registry.counting.oci_images import Document
from tests.registry.counting.pushing import repository
from tests.registry.v2 import documents

DOCKER: Final = "docker/20.10.24"
CONTAINERD: Final = "containerd/1.7.12"
SKOPEO: Final = "skopeo/1.9.3"


def digest(data: bytes) -> Digest:
    return Digest.parse(documents.digest(data))


@dataclass(frozen=True, slots=True)
class Client:
    """`name` is always a repository's. Two clients of equal user and agent are one pusher."""

    registry: Registry
    user: str = "alice"
    agent: str = CONTAINERD

    @property
    def caller(self) -> Caller:
        return pushing.Client(self.registry, self.user, self.agent).caller

    @property
    def pusher(self) -> str:
        """How its promises are marked."""
        return self.caller.pusher.key

    # Blobs

    def asks(self, name: str, data: bytes) -> bool:
        """By HEAD: when it is there, it is promised."""
        try:
            pull_manifest.ask_for_blob(self.registry, self.caller, repository(name), digest(data))
        except errors.LayerUnknown:
            return False
        return True

    def mounts(self, name: str, data: bytes, source: str | None = None) -> bool:
        home = None if source is None else repository(source)
        return blob_upload.mount(self.registry, self.caller, repository(name), digest(data), home)

    def begins(self, name: str) -> str:
        return blob_upload.begin(self.registry, self.caller, repository(name)).uuid

    def appends(self, name: str, uuid: str, data: bytes, start: int | None = None) -> None:
        blob_upload.append(self.registry, self.caller, repository(name), uuid, _piece(data, start))

    def finishes(self, name: str, uuid: str, whole: bytes, rest: bytes = b"") -> None:
        """`rest` is what has not been sent of the `whole`."""
        last = _piece(rest) if rest else None
        blob_upload.finish(self.registry, self.caller, repository(name), uuid, digest(whole), last)

    def cancels(self, name: str, uuid: str) -> None:
        blob_upload.cancel(self.registry, self.caller, repository(name), uuid)

    def sends(self, name: str, data: bytes) -> None:
        """In one request."""
        blob_upload.whole(self.registry, self.caller, repository(name), digest(data), _piece(data))

    def deletes_blob(self, name: str, data: bytes) -> Receipt:
        return delete_manifest.blob(self.registry, self.caller, repository(name), digest(data))

    # Manifests

    def asks_for(self, name: str, document: Document) -> bool:
        """By HEAD of its digest: when it is there, it is promised."""
        try:
            told = Digest.parse(document.digest)
            pull_manifest.ask_for_manifest(self.registry, self.caller, repository(name), told)
        except errors.ManifestUnknown:
            return False
        return True

    def looks_at(self, name: str, tag: str) -> str:
        """By HEAD of the tag; returns the digest of its manifest."""
        return pull_manifest.ask_for_manifest(self.registry, self.caller, repository(name), TagName(tag)).digest

    def puts(self, name: str, document: Document, *tags: str) -> Receipt:
        """Under these tags; without any, by its digest."""
        named = None if tags else Digest.parse(document.digest)
        pushed = Pushed(document.body, document.media_type, named, [TagName(tag) for tag in tags])
        return publish_manifest.publish(self.registry, self.caller, repository(name), pushed).receipt

    def brings(self, name: str, document: Document, *, but: Collection[bytes] = ()) -> None:
        """Asks for each of its blobs once, and sends what is not there; a docker looks once more after that."""
        for data in document.blobs:
            if data not in but and not self.asks(name, data):
                self.sends(name, data)
                assert self.agent != DOCKER or self.asks(name, data)

    def pushes(self, name: str, document: Document, *tags: str) -> Receipt:
        """Everything below it first, as far as it is not there."""
        done: set[bytes] = set()
        for child in document.tree[:-1]:
            if not self.asks_for(name, child):
                self.brings(name, child, but=done)
                self.puts(name, child)
                done |= set(child.blobs)
        self.brings(name, document, but=done)
        return self.puts(name, document, *tags)

    def untags(self, name: str, tag: str, *, explain: bool = True) -> Receipt:
        return delete.tag(self.registry, self.caller, repository(name), TagName(tag), explain=explain)

    def foresees_untagging(self, name: str, tag: str) -> Receipt:
        return delete.preview_tag(self.registry, self.caller, repository(name), TagName(tag))

    def deletes(self, name: str, document: Document) -> Receipt:
        """By its digest, with all its tags."""
        told = Digest.parse(document.digest)
        return delete_manifest.manifest(self.registry, self.caller, repository(name), told)

    def deletes_repository(self, name: str) -> Receipt:
        return delete.repository(self.registry, self.caller, repository(name))

    # Reading, which promises nothing

    def reads(self, name: str, reference: str) -> bytes:
        """A manifest by tag or digest."""
        told = Digest.parse(reference) if ":" in reference else TagName(reference)
        return pull_manifest.manifest(self.registry, self.caller, repository(name), told).body

    def sees(self, name: str, document: Document) -> bool:
        try:
            return self.reads(name, document.digest) == document.body
        except errors.ManifestUnknown:
            return False

    def reads_blob(self, name: str, data: bytes) -> bytes:
        """From the file that a pull would send."""
        file = pull_manifest.blob(self.registry, self.caller, repository(name), digest(data))
        return (self.registry.settings.data / file.path).read_bytes()

    def referrers(self, name: str, subject: Document) -> list[str]:
        """Digests, in order."""
        told = Digest.parse(subject.digest)
        found = pull_manifest.referrers(self.registry, self.caller, repository(name), told, (), after=0, count=1000)
        return sorted(each.digest for each in found)

    def pulled(self, name: str, reference: str, document: Document) -> bool:
        """Whether the document and everything below it comes as it was pushed."""
        below = all(self.reads(name, each.digest) == each.body for each in document.tree)
        whole = all(self.reads_blob(name, data) == data for data in document.all_blobs)
        return below and whole and self.reads(name, reference) == document.body


def _piece(data: bytes, start: int | None = None) -> Piece:
    return Piece(io.BytesIO(data), len(data), start)
