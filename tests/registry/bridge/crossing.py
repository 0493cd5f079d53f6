"""Crossings of the bridge without a door, as acts that may be broken off at any step and done again.

Each has what must be there before it. `python -m tests.registry.bridge.crossing DATA URL` does one for each line
`STEPS ACT` that it is given, in a process of its own that kills itself after so many steps, and prints how that ended:
0 when there were fewer steps, -9 when it was killed.
"""

from __future__ import annotations

import io
import os
import re
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from pier_registry import errors
from pier_registry.actions import (
    blob_upload,
    browse,
    delete,
    publish,
    publish_manifest,
    pull,
    pull_manifest,
    push_session,
)
from pier_registry.actions import image_upload as upload
from pier_registry.actions.blob_upload import Piece
from pier_registry.actions.publish_manifest import Pushed
from pier_registry.actions.registry import Registry
from pier_registry.app import open_registry
from pier_registry.metadata.session import Transaction
from pier_registry.names import Digest, ImageId, RepositoryName, TagName
from pier_registry.settings import Settings
from tests.clients.v1_model import Layer
from tests.registry.bridge.images import NewImage, new_image, old_image, tar
from tests.registry.counting import pushing
from tests.registry.counting.crashing import Fuse, fused
from tests.registry.protocol.pushing import blob, payload
from tests.registry.v2.documents import digest, media_type


@dataclass(frozen=True, slots=True)
class Client:
    """One user's host with both kinds of engine, without a door; `host` makes it a pusher of its own."""

    registry: Registry
    host: str = "host"

    @property
    def _old(self) -> pushing.Client:
        return pushing.Client(self.registry, agent=f"docker/1.5.0 {self.host}")

    @property
    def _new(self) -> pushing.Client:
        return replace(self._old, agent=f"docker/20.10.24 {self.host}")

    # As today's engine

    def push_new(self, name: str, tag: str, image: NewImage) -> None:
        home = RepositoryName.parse(name)
        for each in image.blobs:
            piece = Piece(io.BytesIO(each), len(each), None)
            blob_upload.whole(self.registry, self._new.caller, home, Digest.parse(digest(each)), piece)
        self.put_manifest(name, tag, image)

    def put_manifest(self, name: str, tag: str, image: NewImage) -> None:
        pushed = Pushed(image.manifest, media_type(image.manifest), None, [TagName(tag)])
        publish_manifest.publish(self.registry, self._new.caller, RepositoryName.parse(name), pushed)

    def sees(self, name: str, tag: str) -> str:
        """The manifest's digest, after reading every blob that it names; empty when the tag is not there."""
        home = RepositoryName.parse(name)
        try:
            known = pull_manifest.manifest(self.registry, self._new.caller, home, TagName(tag))
        except errors.ManifestUnknown:
            return ""
        for each in set(re.findall("sha256:[0-9a-f]{64}", known.body.decode())):
            file = pull_manifest.blob(self.registry, self._new.caller, home, Digest.parse(each))
            assert digest((self.registry.settings.data / file.path).read_bytes()) == each
        return known.digest

    # As yesterday's

    def begin(self, name: str, *layers: Layer) -> None:
        ids = {ImageId(layer.id) for layer in layers}
        push_session.begin(self.registry, self._old.caller, RepositoryName.parse(name), ids, 1)

    def end(self, name: str) -> None:
        push_session.end(self.registry, self._old.caller, RepositoryName.parse(name))

    def told_there(self, image_id: str) -> bool:
        try:
            pull.image_json(self.registry, self._old.caller, ImageId(image_id))
        except (errors.ImageUnknown, errors.ImageIncomplete):
            return False
        return True

    def send(self, layer: Layer) -> None:
        try:
            upload.image_json(self.registry, self._old.caller, ImageId(layer.id), layer.json)
        except errors.ImageExists:
            return
        content = blob(layer)
        upload.layer(self.registry, self._old.caller, ImageId(layer.id), io.BytesIO(content), len(content))
        upload.checksum(self.registry, self._old.caller, ImageId(layer.id), payload(layer))

    def point(self, name: str, tag: str, image_id: str) -> None:
        publish.tag(self.registry, self._old.caller, RepositoryName.parse(name), TagName(tag), ImageId(image_id), {})

    def push_old(self, name: str, tag: str, *chain: Layer) -> None:
        """A whole push, as docker does it."""
        self.begin(name, *chain)
        for layer in chain:
            if not self.told_there(layer.id):
                self.send(layer)
        self.point(name, tag, chain[-1].id)
        self.end(name)

    def pulls(self, image_id: str) -> list[str]:
        """The ids of the chain, root first, after reading every layer; empty when the image is not there."""
        try:
            ids = pull.ancestry(self.registry, self._old.caller, ImageId(image_id))[::-1]
        except errors.ImageUnknown:
            return []
        for each in ids:
            file = pull.layer(self.registry, self._old.caller, each)
            assert (self.registry.settings.data / file.path).stat().st_size == file.size
        return [str(each) for each in ids]

    def tag(self, name: str, tag: str) -> str:
        """The id that it shows in v1; empty when it is not there."""
        try:
            known = browse.tag(self.registry, self._old.caller, RepositoryName.parse(name), TagName(tag))
        except errors.TagUnknown:
            return ""
        return str(known.image_id or "")

    def tags(self) -> list[tuple[str, str]]:
        """Of all repositories."""
        names = browse.repository_names(self.registry, self._old.caller, count=100)
        caller = self._old.caller
        listed = {name: browse.tag_list(self.registry, caller, RepositoryName.parse(name)) for name in names}
        return [(name, str(known.name)) for name, found in listed.items() for known in found]

    def delete(self, name: str, tag: str) -> None:
        delete.tag(self.registry, self._old.caller, RepositoryName.parse(name), TagName(tag))


NEW: Final = new_image(*[tar(f"new {number}") for number in range(3)])
OTHER: Final = new_image(tar("new 0"), tar("other"))


def _two(form: str, first: str, second: str) -> tuple[Layer, Layer]:
    base = old_image(tar(f"{form} base"), form=form, image_id=first * 64)
    return base, old_image(tar(f"{form} top"), base, form=form, image_id=second * 64)


OLD: Final = _two("gzip", "a", "b")
XZ: Final = _two("xz", "c", "d")
PARENTS: Final = tuple(
    Layer(image_id, b"", parent, layer)
    for image_id, parent, layer in zip(NEW.old_ids, [None, *NEW.old_ids], NEW.layers, strict=False)
)
CHILD: Final = old_image(tar("child"), PARENTS[-1], form="gzip", image_id="e" * 64)


@dataclass(frozen=True, slots=True)
class Act:
    """`tag` of `name` points, before and after, at these ids of v1; no tag at all before where that is empty."""

    prepare: Callable[[Client], None]
    run: Callable[[Client], None]
    name: str
    tag: str
    before: tuple[str, ...]
    after: tuple[str, ...]


def _sent(client: Client) -> None:
    for layer in XZ:
        client.send(layer)


def _ids(*layers: Layer) -> tuple[str, ...]:
    return tuple(layer.id for layer in layers)


_NEW, _OTHER = tuple(NEW.old_ids), tuple(OTHER.old_ids)
ACTS: Final = {
    "the first tag of an image that is packed anew": Act(
        _sent, lambda client: client.push_old("team/a", "1", *XZ), "team/a", "1", (), _ids(*XZ)
    ),
    "a tag that moves from v1 to v2": Act(
        lambda client: client.push_old("team/a", "1", *OLD),
        lambda client: client.push_new("team/a", "1", NEW),
        "team/a",
        "1",
        _ids(*OLD),
        _NEW,
    ),
    "a tag that moves from v2 to v1": Act(
        lambda client: client.push_new("team/a", "1", NEW),
        lambda client: client.push_old("team/a", "1", *OLD),
        "team/a",
        "1",
        _NEW,
        _ids(*OLD),
    ),
    "a tag that moves within v2": Act(
        lambda client: client.push_new("team/a", "1", NEW),
        lambda client: client.push_new("team/a", "1", OTHER),
        "team/a",
        "1",
        _NEW,
        _OTHER,
    ),
    "an image of v2 that v1 tags elsewhere": Act(
        lambda client: client.push_new("team/origin", "1", NEW),
        lambda client: client.push_old("team/a", "2", *PARENTS),
        "team/a",
        "2",
        (),
        _NEW,
    ),
    "a child of v1 on a parent of v2": Act(
        lambda client: client.push_new("team/origin", "1", NEW),
        lambda client: client.push_old("team/a", "2", *PARENTS, CHILD),
        "team/a",
        "2",
        (),
        (*_NEW, CHILD.id),
    ),
    "a part of an image of v2 that v1 tags": Act(
        lambda client: client.push_new("team/origin", "1", NEW),
        lambda client: client.point("team/a", "2", NEW.old_ids[1]),
        "team/a",
        "2",
        (),
        _NEW[:2],
    ),
}


def faces(registry: Registry) -> list[str]:
    """What is wrong with the rows that give manifests of v2 their v1 ids."""

    def work(tx: Transaction) -> list[str]:
        return [str(tuple(row)) for row in tx.connection.exec_driver_sql(_STRAY_FACES)]

    return registry.metadata.read(work)


_STRAY_FACES: Final = """
    SELECT image_view.image_id, image_view.manifest_id, image_view.position FROM image_view
    LEFT JOIN manifest ON manifest.id = image_view.manifest_id
    LEFT JOIN layer ON layer.id = image_view.layer_id
    LEFT JOIN layer AS config ON config.id = image_view.config_id
    WHERE manifest.id IS NULL OR layer.id IS NULL OR (image_view.config_id IS NOT NULL AND config.id IS NULL)
"""


class Deadly(Fuse):
    """The last step is not survived, as with `kill -9`."""

    def step(self, name: str) -> None:
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        super().step(name)


def main(data: str, url: str) -> None:
    """A process that has imported everything already splits in no time."""
    for line in sys.stdin:
        steps, act = line.rstrip("\n").split(" ", 1)
        child = os.fork()
        if child == 0:
            _cross(data, url, act, int(steps))
            sys.exit()
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def _cross(data: str, url: str, act: str, steps: int) -> None:
    registry = open_registry(Settings(data=Path(data), database_url=url))
    fuse = Deadly()
    client = Client(fused(registry, fuse))
    with fuse.lit(steps):
        ACTS[act].run(client)
    registry.metadata.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
