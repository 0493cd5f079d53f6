"""Layers made up from a seed: small, real tars with text that compresses as layers do."""

from __future__ import annotations

import atexit
import functools
import hashlib
import io
import json
import random
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_BORN: Final = 1_400_000_000
_WORDS: Final = (
    "anchor",
    "barge",
    "berth",
    "buoy",
    "cargo",
    "chart",
    "deck",
    "ferry",
    "harbour",
    "keel",
    "mast",
    "quay",
)

Layer = tuple[str, bytes, str | None, Path]


def synthetic_layers(depth: int, seed: int, size: int, parent: str | None) -> Iterator[Layer]:
    """Id, json, parent and tar of each layer, root first."""
    for number in range(depth):
        content = layer_tar(seed, number, size)
        id_ = hashlib.sha256(f"{parent}\n".encode() + content).hexdigest()
        yield id_, _document(id_, parent, seed, number, size), parent, _kept(id_, content)
        parent = id_


def layer_tar(seed: int, number: int, size: int) -> bytes:
    """A folder, a text file of `size` bytes and a link to it; every layer but the first also removes a file."""
    rng = random.Random(f"{seed}/{number}/{size}")
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=tarfile.GNU_FORMAT) as tar:
        tar.addfile(_member("srv", tarfile.DIRTYPE, mode=0o755))
        text = _text(rng, size)
        tar.addfile(_member(f"srv/{number}.txt", tarfile.REGTYPE, size=size), io.BytesIO(text))
        tar.addfile(_member("srv/latest", tarfile.SYMTYPE, linkname=f"{number}.txt", mode=0o777))
        if number:
            tar.addfile(_member(f"srv/.wh.{number - 1}.txt", tarfile.REGTYPE), io.BytesIO())
    return written.getvalue()


def _member(name: str, kind: bytes, *, size: int = 0, linkname: str = "", mode: int = 0o644) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.size, member.linkname, member.mode, member.mtime = kind, size, linkname, mode, _BORN
    member.uname = member.gname = "root"
    return member


def _text(rng: random.Random, size: int) -> bytes:
    words = " ".join(rng.choices(_WORDS, k=size // 5 + 1))
    return (words * (size // len(words) + 1)).encode()[:size]


def _document(id_: str, parent: str | None, seed: int, number: int, size: int) -> bytes:
    """What docker writes, in its order."""
    config = {"Env": [f"SEED={seed}"], "Cmd": ["cat", f"/srv/{number}.txt"]}
    known: dict[str, object] = {"id": id_}
    if parent:
        known["parent"] = parent
    known |= {
        "created": f"2014-05-13T16:53:{number % 60:02d}.123456789Z",
        "container_config": config,
        "docker_version": "1.5.0",
        "config": config,
        "architecture": "amd64",
        "os": "linux",
        "Size": size,
    }
    return json.dumps(known, separators=(",", ":")).encode()


def _kept(id_: str, content: bytes) -> Path:
    place = _folder() / f"{id_}.tar"
    if not place.exists():
        place.write_bytes(content)
    return place


@functools.cache
def _folder() -> Path:
    """One for the process, gone with it."""
    folder = Path(tempfile.mkdtemp(prefix="pier-layers-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
