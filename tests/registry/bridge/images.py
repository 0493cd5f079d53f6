"""Small images for both protocols, their layers real tars, and by other code what each protocol makes of the other's.

The rules: a v1 chain becomes docker's schema 2 with one layer and one history entry for each image; an image of v2 has
v1 ids that bind the digests of its layers and of its config.
"""

from __future__ import annotations

import bz2
import functools
import gzip
import hashlib
import io
import itertools
import json
import lzma
import random
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tests.clients.v1_model import Image as OldImage
from tests.clients.v1_model import Layer
from tests.registry.v2.documents import AMD64, DOCKER_CONFIG, DOCKER_IMAGE, OCI_CONFIG, OCI_IMAGE, digest, encoded

DOCKER_GZIP: Final = "application/vnd.docker.image.rootfs.diff.tar.gzip"
DOCKER_TAR: Final = "application/vnd.docker.image.rootfs.diff.tar"
OCI_TAR: Final = "application/vnd.oci.image.layer.v1.tar"
OCI_GZIP: Final = f"{OCI_TAR}+gzip"
OCI_ZSTD: Final = f"{OCI_TAR}+zstd"
DOCKER_FOREIGN: Final = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
EMPTY_TAR: Final = bytes(1024)
_SERIAL: Final = itertools.count(1)
_PACKERS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "gzip": functools.partial(gzip.compress, mtime=0),
    "bzip2": bz2.compress,
    "xz": functools.partial(lzma.compress, preset=1),
    "plain": bytes,
}


def fresh(word: str = "content") -> str:
    """A word that nobody has used yet."""
    return f"{word} {next(_SERIAL)} {random.SystemRandom().getrandbits(48):x}"


def tar(content: str, size: int = 700) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=tarfile.GNU_FORMAT) as archive:
        member = tarfile.TarInfo("content")
        member.size = size
        archive.addfile(member, io.BytesIO(random.Random(content).randbytes(size)))
    return written.getvalue()


def packed(content: bytes, form: str = "gzip") -> bytes:
    return _PACKERS[form](content)


# v1


def old_image(
    content: bytes, parent: Layer | None = None, *, form: str = "", image_id: str = "", **members: Any
) -> Layer:
    """With a `form`, its layer is packed so; without one it stays a tar, which the scripted engines pack themselves."""
    own = image_id or hashlib.sha256(fresh("id").encode()).hexdigest()
    told = {"id": own} | ({"parent": parent.id} if parent else {}) | members
    return Layer(own, encoded(told), parent.id if parent else None, packed(content, form) if form else content)


def old_chain(*contents: bytes, form: str = "", on: tuple[Layer, ...] = ()) -> OldImage:
    """Root first."""
    layers = list(on)
    for number, content in enumerate(contents):
        told: dict[str, Any] = {
            "created": f"2014-05-13T16:53:{number:02}.5Z",
            "container_config": {"Cmd": ["touch", str(number)]},
        }
        layers.append(old_image(content, layers[-1] if layers else None, form=form, **told))
    return OldImage(tuple(layers))


@dataclass(frozen=True, slots=True)
class Made:
    """A manifest with its config, as the registry is to make them."""

    config: bytes
    manifest: bytes


def made(jsons: Sequence[bytes], tars: Sequence[bytes], layers: Sequence[dict[str, Any]]) -> Made:
    """Of a chain, root first: its jsons, the tars inside its layers, and the descriptors of the layers."""
    told = [json.loads(each) for each in jsons]
    top = {key: value for key, value in told[-1].items() if key not in {"id", "parent", "Size"}}
    rootfs = {"type": "layers", "diff_ids": [digest(each) for each in tars]}
    config = _sorted(AMD64 | top | {"rootfs": rootfs, "history": [_step(each) for each in told]})
    own = {"mediaType": DOCKER_CONFIG, "digest": digest(config), "size": len(config)}
    return Made(config, _sorted({"schemaVersion": 2, "mediaType": DOCKER_IMAGE, "config": own, "layers": list(layers)}))


def described(layer: bytes, media_type: str = DOCKER_GZIP) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest(layer), "size": len(layer)}


def _step(image: dict[str, Any]) -> dict[str, Any]:
    step = {key: image[key] for key in ("created", "author", "comment") if key in image}
    command = image.get("container_config", {}).get("Cmd")
    return step | ({"created_by": " ".join(command)} if command else {})


def _sorted(document: dict[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


# v2


@dataclass(frozen=True, slots=True)
class NewImage:
    """An image as today's builders make it: `layers` as they are stored, root first."""

    layers: tuple[bytes, ...]
    config: bytes
    manifest: bytes

    @property
    def blobs(self) -> list[bytes]:
        return list(dict.fromkeys((self.config, *self.layers)))

    @property
    def digest(self) -> str:
        return digest(self.manifest)

    @property
    def size(self) -> int:
        """Bytes that it takes in the folder of layers."""
        return sum(map(len, self.blobs))

    def with_top_layer(self, media_type: str) -> bytes:
        """The manifest, with its last layer of another type."""
        told = json.loads(self.manifest)
        told["layers"][-1]["mediaType"] = media_type
        return encoded(told)

    @property
    def old_ids(self) -> list[str]:
        """Its ids in v1, root first, where nobody has squatted any."""
        ids: list[str] = []
        for at, layer in enumerate(self.layers, start=1):
            bound = f"pier-v1/1\n{ids[-1] if ids else ''}\n{digest(layer)}"
            bound += f"\n{digest(self.config)}" if at == len(self.layers) else ""
            ids.append(hashlib.sha256(bound.encode()).hexdigest())
        return ids


def new_image(
    *contents: bytes,
    media_type: str = OCI_GZIP,
    diff_ids: Sequence[str] | None = None,
    raw: bytes | None = None,
    config_type: str = "",
    **members: Any,
) -> NewImage:
    """An image of these tars. `members` of its config; `raw` is a config instead of that; `diff_ids` may lie."""
    form = "plain" if media_type in {OCI_TAR, DOCKER_TAR} else "gzip"
    layers = tuple(packed(content, form) for content in contents)
    claimed = [digest(content) for content in contents] if diff_ids is None else list(diff_ids)
    config = raw if raw is not None else encoded(AMD64 | {"rootfs": {"type": "layers", "diff_ids": claimed}} | members)
    docker = media_type in {DOCKER_GZIP, DOCKER_TAR}
    own = described(config, config_type or (DOCKER_CONFIG if docker else OCI_CONFIG))
    manifest = {
        "schemaVersion": 2,
        "mediaType": DOCKER_IMAGE if docker else OCI_IMAGE,
        "config": own,
        "layers": [described(layer, media_type) for layer in layers],
    }
    return NewImage(layers, config, encoded(manifest))
