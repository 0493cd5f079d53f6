"""What clients of v2 send: blobs and manifests up, down and away."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from bench.client import Client, Door
from bench.layers import Layer

Way = Literal["chunked", "with a length"]

MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
CONFIG: Final = "application/vnd.oci.image.config.v1+json"
LAYER: Final = "application/vnd.oci.image.layer.v1.tar+gzip"


@dataclass(frozen=True, slots=True)
class Blob:
    path: Path
    size: int
    digest: str

    @classmethod
    def of(cls, layer: Layer) -> Blob:
        return cls(layer.path, layer.size, f"sha256:{layer.digest}")

    @classmethod
    def written(cls, path: Path, data: bytes) -> Blob:
        path.write_bytes(data)
        return cls(path, len(data), f"sha256:{hashlib.sha256(data).hexdigest()}")

    def described(self, media_type: str) -> dict[str, object]:
        """As a manifest names it."""
        return {"mediaType": media_type, "digest": self.digest, "size": self.size}


def manifest(config: Blob, *layers: Blob) -> str:
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": config.described(CONFIG),
            "layers": [layer.described(LAYER) for layer in layers],
        }
    )


def push_blob(client: Client, door: Door, repository: str, blob: Blob, way: Way) -> float:
    """Seconds. `chunked` as docker: POST, one PATCH, PUT; with a length as containerd: POST, one PUT."""
    begun = client.ask(door, "POST", f"/v2/{repository}/blobs/uploads/", status=202)
    seconds, place = begun.seconds, begun.location
    if way == "with a length":
        return seconds + client.ask(door, "PUT", _final(place, blob), file=blob.path, plain=True, status=201).seconds
    sent = client.ask(door, "PATCH", place, file=blob.path, status=202)
    return seconds + sent.seconds + client.ask(door, "PUT", _final(sent.location, blob), status=201).seconds


def _final(place: str, blob: Blob) -> str:
    return f"{place}{'&' if '?' in place else '?'}digest={blob.digest}"


def delete_blob(client: Client, door: Door, repository: str, blob: Blob) -> None:
    client.ask(door, "DELETE", f"/v2/{repository}/blobs/{blob.digest}", status=202)


def pull_blob(client: Client, door: Door, repository: str, blob: Blob, count: int = 1) -> float:
    """Seconds of `count` downloads, one after the other."""
    answer = client.ask(door, "GET", f"/v2/{repository}/blobs/{blob.digest}", count=count)
    assert answer.size == blob.size * count, f"{answer.size} bytes came, of {blob.size} {count} times"
    return answer.seconds


def push_manifest(client: Client, door: Door, repository: str, tag: str, body: str) -> None:
    headers = {"Content-Type": MANIFEST}
    client.ask(door, "PUT", f"/v2/{repository}/manifests/{tag}", body=body, headers=headers, status=201)
