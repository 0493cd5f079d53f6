"""Small images that no other test has, as `docker save` writes them."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Final

from tests.parts.synthetic import layer_tar

NAME: Final = "small:1"
_SIZES: Final = (60_000, 200_000)


def write_archive(path: Path, seed: int) -> None:
    """An image `small:1` of two layers; each seed has layers of its own."""
    layers = [layer_tar(seed, number, size) for number, size in enumerate(_SIZES)]
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Cmd": ["cat", "/srv/latest"]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{_hex(layer)}" for layer in layers]},
            "history": [{"created_by": f"layer {number}"} for number in range(len(layers))],
        }
    ).encode()
    names = [f"{_hex(layer)}/layer.tar" for layer in layers]
    manifest = [{"Config": f"{_hex(config)}.json", "RepoTags": [NAME], "Layers": names}]
    with tarfile.open(path, "w") as tar:
        for name, content in zip(names, layers, strict=True):
            _add(tar, name, content)
        _add(tar, f"{_hex(config)}.json", config)
        _add(tar, "manifest.json", json.dumps(manifest).encode())


def _hex(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))
