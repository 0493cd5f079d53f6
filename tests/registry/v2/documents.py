"""Manifests as bytes, made of the bytes that they name. Whatever has a digest here is plain bytes."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from typing import Any, Final

OCI_IMAGE: Final = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX: Final = "application/vnd.oci.image.index.v1+json"
DOCKER_IMAGE: Final = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST: Final = "application/vnd.docker.distribution.manifest.list.v2+json"
OCI_CONFIG: Final = "application/vnd.oci.image.config.v1+json"
DOCKER_CONFIG: Final = "application/vnd.docker.container.image.v1+json"
LAYER: Final = "application/vnd.oci.image.layer.v1.tar+gzip"
EMPTY_TYPE: Final = "application/vnd.oci.empty.v1+json"
EMPTY: Final = b"{}"
AMD64: Final = {"architecture": "amd64", "os": "linux"}
ARM64: Final = {"architecture": "arm64", "os": "linux"}

Document = dict[str, Any]


def noise(size: int = 2000) -> bytes:
    """Bytes that nobody has pushed yet."""
    return secrets.token_bytes(size)


def digest(data: bytes, algorithm: str = "sha256") -> str:
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"


def encoded(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def descriptor(data: bytes, media_type: str, **members: Any) -> Document:
    return {"mediaType": media_type, "digest": digest(data), "size": len(data)} | members


def config(*layers: bytes) -> bytes:
    """The config of an image with these layers, unlike any other."""
    root = {"type": "layers", "diff_ids": [digest(layer) for layer in layers]}
    return encoded(AMD64 | {"config": {"Labels": {"serial": secrets.token_hex(8)}}, "rootfs": root})


def image(*layers: bytes, config: bytes = EMPTY, **members: Any) -> bytes:
    """An OCI image manifest; a member of None is left out."""
    own = {
        "schemaVersion": 2,
        "mediaType": OCI_IMAGE,
        "config": descriptor(config, EMPTY_TYPE if config == EMPTY else OCI_CONFIG),
        "layers": [descriptor(layer, LAYER) for layer in layers],
    }
    return _document(own, members)


def index(*children: bytes, platforms: tuple[Document, ...] = (), **members: Any) -> bytes:
    """An OCI index of manifests; `platforms` of the first of them."""
    told = [{"platform": platform} for platform in platforms] + [{}] * len(children)
    listed = [descriptor(child, media_type(child)) | more for child, more in zip(children, told, strict=False)]
    return _document({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": listed}, members)


def _document(own: Document, members: Mapping[str, Any]) -> bytes:
    return encoded({key: value for key, value in (own | dict(members)).items() if value is not None})


def media_type(manifest: bytes) -> str:
    """What a manifest says that it is; without that, what its members make it."""
    told = json.loads(manifest)
    return str(told.get("mediaType") or (OCI_INDEX if "manifests" in told else OCI_IMAGE))


def pointer(manifest: bytes) -> Document:
    """What a referrer's `subject` member holds."""
    return descriptor(manifest, media_type(manifest))
