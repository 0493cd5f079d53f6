"""The v1 face of an image that was pushed over v2: ids that bind verified content, and the jsons behind them.

An id made of diff_ids would be a claim of the pusher; one made of the blobs' digests cannot stand for other bytes.
Images on one base share its ids, so old clients fetch it once.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from hashlib import sha256
from typing import Any, Final

from pier_registry import canonical
from pier_registry.actions.synthesis import CONFIG, GZIP, TAR
from pier_registry.names import Digest, ImageId

LONGEST: Final = 127
_CONFIGS: Final = frozenset({CONFIG, "application/vnd.oci.image.config.v1+json"})
_OCI_LAYER: Final = "application/vnd.oci.image.layer.v1.tar"
# What an engine of 2015 can unpack: no zstd, nothing foreign.
_LAYERS: Final = frozenset({GZIP, TAR, _OCI_LAYER, f"{_OCI_LAYER}+gzip"})
_UNTOLD: Final = ("id", "parent", "rootfs", "history", "os.version", "os.features")
_ATTESTATION: Final = "vnd.docker.reference.type"


def layers(manifest: bytes) -> list[Digest]:
    """The layers of an image manifest, root first, repeated ones too; none for what has no v1 face."""
    data = canonical.parse(manifest)
    listed = data.get("layers") or []
    if not _is_one_of(data["config"], _CONFIGS) or not 0 < len(listed) <= LONGEST:
        return []
    if not all(_is_one_of(each, _LAYERS) for each in listed):
        return []
    return [Digest.parse(each["digest"]) for each in listed]


def _is_one_of(descriptor: Mapping[str, Any], media_types: Collection[str]) -> bool:
    told = descriptor.get("mediaType")
    return isinstance(told, str) and told in media_types


def fits(config: bytes, count: int) -> bool:
    """Whether this is the config of an image with so many layers, and one that can be told anew."""
    try:
        data = canonical.parse(config)
        canonical.render(data)
    except ValueError:
        return False
    rootfs = data.get("rootfs") if isinstance(data, dict) else None
    ids = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
    return isinstance(ids, list) and len(ids) == count


def image_id(parent: ImageId | None, layer: Digest, config: Digest | None, number: int) -> ImageId:
    """`config` for the top alone. `number` counts on from 0 past ids that somebody else has taken."""
    bound = ["pier-v1/1", parent or "", str(layer)]
    bound += [str(config)] if config else []
    bound += [str(number)] if number else []
    return ImageId(sha256("\n".join(bound).encode()).hexdigest())


def ids(layers: Sequence[Digest], config: Digest) -> list[ImageId]:
    """From root to top, where nobody has taken any."""
    found: list[ImageId] = []
    for at, layer in enumerate(layers, start=1):
        found.append(image_id(found[-1] if found else None, layer, config if at == len(layers) else None, 0))
    return found


def json_of(name: ImageId, parent: ImageId | None, config: bytes | None) -> bytes:
    """A stub, as docker 1.10 pushed for all but the top; the top tells what the config does."""
    data = _told(canonical.parse(config)) if config else {}
    return canonical.render(data | {"id": name} | ({"parent": parent} if parent else {}))


def _told(config: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key not in _UNTOLD and not key.startswith("moby.buildkit.")}


def for_old_clients(index: bytes) -> Sequence[str]:
    """Digests of an index's manifests for linux/amd64, the plainest variant first, then those of no platform."""
    listed = [each for each in canonical.parse(index)["manifests"] if not _is_attestation(each)]
    fitting = [each for each in listed if _is_amd64(each.get("platform"))]
    unsaid = [each for each in listed if not each.get("platform")]
    return [each["digest"] for each in [*sorted(fitting, key=_variant), *unsaid]]


def _is_attestation(descriptor: Mapping[str, Any]) -> bool:
    annotations = descriptor.get("annotations")
    return isinstance(annotations, dict) and _ATTESTATION in annotations


def _is_amd64(platform: object) -> bool:
    return isinstance(platform, dict) and (platform.get("os"), platform.get("architecture")) == ("linux", "amd64")


def _variant(descriptor: Mapping[str, Any]) -> str:
    return str(descriptor["platform"].get("variant") or "")
