"""Small v1 images, and a client that pushes them step by step as docker does: json, layer, checksum, tag."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import random
import tarfile
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from pier_registry import errors
from pier_registry.actions import delete, publish, pull, push_session
from pier_registry.actions import image_upload as upload
from pier_registry.actions.receipt import Receipt
from pier_registry.actions.registry import Caller, Registry, Verb
from pier_registry.names import Digest, ImageId, RepositoryName, TagName


@dataclass(frozen=True, slots=True, repr=False)
class Image:
    """`layer` is a gzipped tar; images of equal content are equal down to their id."""

    id: ImageId
    json: bytes
    layer: bytes
    parent: Image | None = None

    def __repr__(self) -> str:
        return f"<{json.loads(self.json).get('comment')}>"

    @property
    def chain(self) -> list[Image]:
        """The image itself first, its root last."""
        return [self, *(self.parent.chain if self.parent else [])]

    @property
    def digest(self) -> Digest:
        return Digest.sha256(hashlib.sha256(self.layer).hexdigest())

    @property
    def size(self) -> int:
        return len(self.layer)

    @property
    def config(self) -> bytes:
        """What the registry makes of the chain for v2 clients and keeps beside the layers, once a tag points here."""
        told = [json.loads(one.json) for one in reversed(self.chain)]
        tars = [hashlib.sha256(gzip.decompress(one.layer)) for one in reversed(self.chain)]
        made = {"architecture": "amd64", "os": "linux", "comment": told[-1]["comment"]}
        made["history"] = [{"comment": step["comment"]} for step in told]
        made["rootfs"] = {"type": "layers", "diff_ids": [f"sha256:{tar.hexdigest()}" for tar in tars]}
        return json.dumps(made, sort_keys=True, separators=(",", ":")).encode()

    @property
    def payload(self) -> str:
        return "sha256:" + hashlib.sha256(self.json + b"\n" + self.layer).hexdigest()


def image(content: str, parent: Image | None = None, *, layer: str = "", size: int = 700) -> Image:
    """An image named by its content; `layer` names the layer's bytes, where two images are to share them."""
    below = {"parent": parent.id} if parent else {}
    name = ImageId(hashlib.sha256(f"{content}\n{below}".encode()).hexdigest())
    told = json.dumps({"id": name} | below | {"comment": content}).encode()
    return Image(name, told, _gzip(_tar(layer or content, size), 6), parent)


def chain(*contents: str, base: Image | None = None) -> Image:
    """The top of a chain, from the root up."""
    for content in contents:
        base = image(content, base)
    assert base is not None
    return base


def compressed_anew(known: Image) -> Image:
    """The same tar in other gzip bytes, as another docker would send it."""
    return replace(known, layer=_gzip(gzip.decompress(known.layer), 0))


def with_other_content(known: Image) -> Image:
    """Another tar under the same id."""
    return replace(known, layer=_gzip(_tar("other content", 500), 6))


def _tar(content: str, size: int) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=tarfile.GNU_FORMAT) as tar:
        member = tarfile.TarInfo("content")
        member.size = size
        tar.addfile(member, io.BytesIO(random.Random(content).randbytes(size)))
    return written.getvalue()


def _gzip(data: bytes, level: int) -> bytes:
    return gzip.compress(data, compresslevel=level, mtime=0)


def repository(name: str) -> RepositoryName:
    return RepositoryName.parse(name)


@dataclass(frozen=True, slots=True)
class Client:
    """One docker of one user. `pulls` and `pushes` are patterns of repositories' full names."""

    registry: Registry
    user: str = "alice"
    agent: str = "docker/1.5.0"
    pulls: str = "*"
    pushes: str = "*"

    @property
    def caller(self) -> Caller:
        def may(verb: Verb, name: str) -> bool:
            return fnmatchcase(name, self.pulls if verb == "pull" else self.pushes)

        def everywhere(verb: Verb) -> bool:
            return (self.pulls if verb == "pull" else self.pushes) == "*"

        return Caller(self.user, "192.0.2.1", self.agent, may, everywhere)

    @property
    def pusher(self) -> str:
        """How its promises are marked."""
        return self.caller.pusher.key

    def begin(self, name: str, *images: Image, tags: int = 1) -> None:
        ids = {link.id for top in images for link in top.chain}
        push_session.begin(self.registry, self.caller, repository(name), ids, tags)

    def end(self, name: str) -> None:
        push_session.end(self.registry, self.caller, repository(name))

    def told_there(self, one: Image) -> bool:
        """GET json, the question "need I send this?"."""
        try:
            pull.image_json(self.registry, self.caller, one.id)
        except (errors.ImageUnknown, errors.ImageIncomplete):
            return False
        return True

    def send_json(self, one: Image) -> None:
        upload.image_json(self.registry, self.caller, one.id, one.json)

    def send_layer(self, one: Image) -> None:
        upload.layer(self.registry, self.caller, one.id, io.BytesIO(one.layer), len(one.layer))

    def send_checksum(self, one: Image) -> None:
        upload.checksum(self.registry, self.caller, one.id, one.payload)

    def send(self, one: Image) -> None:
        """One image, whether or not its parents are there; "already exists" is fine, as it is for docker."""
        try:
            self.send_json(one)
        except errors.ImageExists:
            return
        self.send_layer(one)
        self.send_checksum(one)

    def send_missing(self, top: Image) -> None:
        """Ask for all, root first; then send what is not there."""
        missing = [one for one in reversed(top.chain) if not self.told_there(one)]
        for one in missing:
            self.send(one)

    def tag(self, name: str, tag: str, top: Image) -> Receipt:
        return publish.tag(self.registry, self.caller, repository(name), TagName(tag), top.id, {})

    def push(self, name: str, tag: str, top: Image) -> Receipt:
        """A whole push in a session; returns what the tag's PUT told."""
        self.begin(name, top)
        self.send_missing(top)
        told = self.tag(name, tag, top)
        self.end(name)
        return told

    def delete(self, name: str, tag: str, *, explain: bool = True) -> Receipt:
        return delete.tag(self.registry, self.caller, repository(name), TagName(tag), explain=explain)

    def preview(self, name: str, tag: str) -> Receipt:
        return delete.preview_tag(self.registry, self.caller, repository(name), TagName(tag))

    def delete_repository(self, name: str) -> Receipt:
        return delete.repository(self.registry, self.caller, repository(name))

    def preview_repository(self, name: str) -> Receipt:
        return delete.preview_repository(self.registry, self.caller, repository(name))

    def pulled(self, top: Image) -> bytes:
        """The layers of the whole chain, top first, read from the files that a pull would send."""
        ids = pull.ancestry(self.registry, self.caller, top.id)
        files = [pull.layer(self.registry, self.caller, image_id) for image_id in ids]
        return b"".join((self.registry.settings.data / file.path).read_bytes() for file in files)


def content(top: Image) -> bytes:
    """What `Client.pulled` must give."""
    return b"".join(one.layer for one in top.chain)


def size(*images: Image) -> int:
    """Bytes of the distinct layers of these images alone, without their parents."""
    return sum(len(layer) for layer in {one.layer for one in images})


def held(*tops: Image) -> int:
    """Bytes that tags on these images hold: the distinct layers of their chains, and their configs."""
    configs = {top.config for top in tops}
    return size(*(one for top in tops for one in top.chain)) + sum(map(len, configs))
