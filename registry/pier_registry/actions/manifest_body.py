"""What a manifest says, read from the bytes of its PUT; the bytes themselves are never written anew.

Image manifests hold blobs (config and layers), indexes hold manifests. OCI image-spec 1.1, "Image Manifest" and
"Image Index"; docker's schema 2 and manifest list are the same shapes under other names.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pier_registry import errors
from pier_registry.names import Digest

OCI_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX: Final = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST: Final = "application/vnd.docker.distribution.manifest.list.v2+json"
IMAGES: Final = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})
INDEXES: Final = frozenset({OCI_INDEX, DOCKER_LIST})
_SCHEMA_1: Final = "application/vnd.docker.distribution.manifest.v1+"
_UNTOLD: Final = frozenset({"", "application/json", "application/octet-stream"})
_LONGEST: Final = 255
# Layers that their licence keeps at their own place: they may be absent.
_FOREIGN: Final = (".foreign.", ".nondistributable.")


@dataclass(frozen=True, slots=True)
class Description:
    """Digests each once, in the document's order. `optional` blobs may be absent; `config` is among `blobs`."""

    media_type: str
    artifact_type: str | None
    annotations: Mapping[str, str]
    subject: Digest | None
    config: Digest | None
    blobs: tuple[Digest, ...]
    sizes: Mapping[Digest, int]
    optional: frozenset[Digest]
    manifests: tuple[Digest, ...]


def describe(body: bytes, content_type: str, most: int) -> Description:
    """`content_type` is the request's, `most` the number of descriptors allowed. Raises ManifestInvalid."""
    data = _object(body)
    media_type = _media_type(data, content_type.partition(";")[0].strip().lower())
    if data.get("schemaVersion") != 2 or isinstance(data["schemaVersion"], bool):
        raise errors.ManifestInvalid("schemaVersion must be 2")
    index = media_type in INDEXES
    listed = _descriptors(data, "manifests" if index else "layers")
    if len(listed) > most:
        raise errors.ManifestInvalid(f"a manifest may list at most {most} descriptors here")
    if index:
        return _index(data, media_type, listed)
    return _image(data, media_type, listed)


def is_manifest(descriptor: Mapping[str, Any]) -> bool:
    """An old buildkit cache lists plain blobs in an index; only what calls itself a manifest is one."""
    told = descriptor.get("mediaType", OCI_MANIFEST)
    return isinstance(told, str) and told in IMAGES | INDEXES


def _object(body: bytes) -> dict[str, Any]:
    try:
        data = json.loads(body, object_pairs_hook=_members)
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        raise errors.ManifestInvalid("the manifest is not a JSON object, or has a member twice")
    return data


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of two members of one name, clients could each read another one. Raises ValueError."""
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a member comes twice")
    return members


def _media_type(data: Mapping[str, Any], told: str) -> str:
    own = data.get("mediaType")
    if own is not None and not isinstance(own, str):
        raise errors.ManifestInvalid("mediaType must be a string")
    if told.startswith(_SCHEMA_1) or data.get("schemaVersion") == 1:
        raise errors.ManifestInvalid("schema 1 is no longer supported: push with docker 1.10 or newer, or over v1")
    media_type = own or _shape(data) if told in _UNTOLD else told
    if media_type not in IMAGES | INDEXES:
        raise errors.ManifestInvalid("this media type is no manifest: send an OCI or docker image manifest or index")
    if own and own != media_type:
        raise errors.ManifestInvalid(f"Content-Type says {media_type}, mediaType in the body {own}: make them agree")
    strange = {"config", "layers"} if media_type in INDEXES else {"manifests"}
    if strange & set(data):
        raise errors.ManifestInvalid("a manifest has layers or it has manifests, never both (CVE-2021-41190)")
    return media_type


def _shape(data: Mapping[str, Any]) -> str:
    return OCI_INDEX if "manifests" in data else OCI_MANIFEST


def _index(data: Mapping[str, Any], media_type: str, listed: list[dict[str, Any]]) -> Description:
    return Description(
        media_type=media_type,
        artifact_type=_text(data, "artifactType"),
        annotations=_annotations(data),
        subject=_subject(data),
        config=None,
        blobs=_digests(each for each in listed if not is_manifest(each)),
        sizes=_sizes(listed),
        optional=frozenset(),
        manifests=_digests(each for each in listed if is_manifest(each)),
    )


def _image(data: Mapping[str, Any], media_type: str, listed: list[dict[str, Any]]) -> Description:
    config = data.get("config")
    if not isinstance(config, dict):
        raise errors.ManifestInvalid("an image manifest needs a config descriptor")
    return Description(
        media_type=media_type,
        artifact_type=_text(data, "artifactType") or _text(config, "mediaType"),
        annotations=_annotations(data),
        subject=_subject(data),
        config=_digest(config),
        blobs=_digests([config, *listed]),
        sizes=_sizes([config, *listed]),
        optional=frozenset(_digests(each for each in listed if _is_foreign(each))),
        manifests=(),
    )


def _descriptors(data: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    listed = data.get(name, [])
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        raise errors.ManifestInvalid(f"{name} must be a list of descriptors")
    return listed


def _digests(descriptors: Iterable[Mapping[str, Any]]) -> tuple[Digest, ...]:
    return tuple(dict.fromkeys(_digest(each) for each in descriptors))


def _digest(descriptor: Mapping[str, Any]) -> Digest:
    told = descriptor.get("digest")
    try:
        return Digest.parse(told if isinstance(told, str) else "")
    except errors.DigestInvalid:
        raise errors.ManifestInvalid("a descriptor has no valid digest (sha256 or sha512)") from None


def _sizes(descriptors: Iterable[Mapping[str, Any]]) -> Mapping[Digest, int]:
    """What the document says of the length of each, where it does; two lengths of one digest cannot both be right."""
    told: dict[Digest, int] = {}
    for each in descriptors:
        size = each.get("size")
        if size is None:
            continue
        if not isinstance(size, int) or isinstance(size, bool) or told.setdefault(_digest(each), size) != size:
            raise errors.ManifestInvalid("the size of a descriptor must be the number of its content's bytes")
    return told


def _subject(data: Mapping[str, Any]) -> Digest | None:
    subject = data.get("subject")
    if subject is None:
        return None
    if not isinstance(subject, dict):
        raise errors.ManifestInvalid("subject must be a descriptor")
    return _digest(subject)


def _annotations(data: Mapping[str, Any]) -> Mapping[str, str]:
    told = data.get("annotations")
    if told is None:
        return {}
    if not isinstance(told, dict) or not all(isinstance(value, str) for value in told.values()):
        raise errors.ManifestInvalid("annotations must be an object of strings")
    return told


def _text(data: Mapping[str, Any], name: str) -> str | None:
    told = data.get(name)
    if told is None or told == "":
        return None
    if not isinstance(told, str) or len(told) > _LONGEST or not told.isascii():
        raise errors.ManifestInvalid(f"{name} must be a media type of at most {_LONGEST} characters")
    return told


def _is_foreign(descriptor: Mapping[str, Any]) -> bool:
    media_type = descriptor.get("mediaType")
    return isinstance(media_type, str) and any(part in media_type for part in _FOREIGN)
