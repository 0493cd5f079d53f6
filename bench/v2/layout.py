"""An image on disk as OCI lays it out, made once and kept. Source: OCI image-spec, "Image Layout"."""

from __future__ import annotations

import hashlib
import json
from functools import partial
from pathlib import Path
from typing import Final

from bench import layers
from bench.layers import Layer
from bench.v2 import requests
from bench.v2.requests import Blob
from tests.parts import cache

_VERSION: Final = 2


def image(count: int, size: int) -> Path:
    """The folder of an image with `count` layers of at least `size` bytes, no two alike."""
    return cache.made(f"bench-image-{_VERSION}-{count}-{size}", partial(_make, count, size))


def size(folder: Path) -> int:
    """Bytes of all its blobs."""
    return sum(file.stat().st_size for file in _blobs(folder).iterdir())


def digest(folder: Path) -> str:
    """Of its manifest."""
    found: str = json.loads((folder / "index.json").read_text(encoding="ascii"))["manifests"][0]["digest"]
    return found


def _make(count: int, size: int, draft: Path) -> None:
    _blobs(draft).mkdir(parents=True)
    source = layers.files(largest=layers.MIB)
    made: list[Layer] = []
    tars: list[str] = []
    for _ in range(count):
        layer, tar = layers.pack(draft / "layer", source, size)
        layer.path.rename(_blobs(draft) / layer.digest)
        made.append(layers.real(layer))
        tars.append(f"sha256:{tar}")
    config = _stored(draft, _config(tars))
    body = requests.manifest(config, *map(Blob.of, made)).encode()
    described = _stored(draft, body).described(requests.MANIFEST)
    (draft / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [described]}), encoding="ascii")
    (draft / "oci-layout").write_text(json.dumps({"imageLayoutVersion": "1.0.0"}), encoding="ascii")


def _config(tars: list[str]) -> bytes:
    told = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": tars}}
    return json.dumps(told).encode()


def _stored(folder: Path, data: bytes) -> Blob:
    return Blob.written(_blobs(folder) / hashlib.sha256(data).hexdigest(), data)


def _blobs(folder: Path) -> Path:
    return folder / "blobs" / "sha256"
