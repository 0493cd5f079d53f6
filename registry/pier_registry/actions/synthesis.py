"""The manifest of a v1 image: what docker itself makes of a v1 chain, with a digest that stays the same for ever.

Docker's schema 2, since engines from 1.10 to 17.05 know no OCI types. One history entry and one layer for each
image, root first; empty layers stay layers, as in docker's own migration.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from pier_registry import canonical
from pier_registry.actions.manifest_body import DOCKER_MANIFEST
from pier_registry.names import Digest

CONFIG: Final = "application/vnd.docker.container.image.v1+json"
GZIP: Final = "application/vnd.docker.image.rootfs.diff.tar.gzip"
TAR: Final = "application/vnd.docker.image.rootfs.diff.tar"
_OWN: Final = ("id", "parent", "parent_id", "layer_id", "Size", "throwaway")


@dataclass(frozen=True, slots=True)
class Part:
    """One v1 image as it is needed here: its json, and its layer as v2 clients will get it."""

    json: bytes
    digest: Digest
    size: int
    media_type: str
    diff_id: str


@dataclass(frozen=True, slots=True)
class Synthesis:
    config: bytes
    config_digest: Digest
    manifest: bytes
    digest: Digest


def synthesise(chain: Sequence[Part]) -> Synthesis:
    """`chain` from root to top. Raises ValueError for a json that is no object."""
    config = canonical.render(_config(chain))
    config_digest = _digest(config)
    manifest = canonical.render(
        {
            "schemaVersion": 2,
            "mediaType": DOCKER_MANIFEST,
            "config": _descriptor(CONFIG, len(config), config_digest),
            "layers": [_descriptor(part.media_type, part.size, part.digest) for part in chain],
        }
    )
    return Synthesis(config, config_digest, manifest, _digest(manifest))


def _config(chain: Sequence[Part]) -> dict[str, Any]:
    top = _object(chain[-1].json)
    kept = {key: value for key, value in top.items() if key not in _OWN}
    told = {"architecture": "amd64", "os": "linux"} | {key: value for key, value in kept.items() if value != ""}
    return told | {
        "rootfs": {"type": "layers", "diff_ids": [part.diff_id for part in chain]},
        "history": [_step(_object(part.json)) for part in chain],
    }


def _step(image: dict[str, Any]) -> dict[str, Any]:
    """What is not told is left out: a made-up date would be year 1."""
    told = {key: image[key] for key in ("created", "author", "comment") if _is_text(image.get(key))}
    ran = image.get("container_config")
    command = ran.get("Cmd") if isinstance(ran, dict) else None
    if isinstance(command, list) and command and all(_is_text(word) for word in command):
        told["created_by"] = " ".join(command)
    return told


def _is_text(value: object) -> bool:
    return isinstance(value, str) and not isinstance(value, canonical.Number) and value != ""


def _object(text: bytes) -> dict[str, Any]:
    value = canonical.parse(text)
    if not isinstance(value, dict):
        raise ValueError("an image json must be an object")  # noqa: TRY004  as what is no JSON
    return value


def _descriptor(media_type: str, size: int, digest: Digest) -> dict[str, Any]:
    return {"mediaType": media_type, "size": size, "digest": str(digest)}


def _digest(content: bytes) -> Digest:
    return Digest.sha256(sha256(content).hexdigest())
