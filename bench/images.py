"""A v1 image of one layer, and the requests that push, read and delete it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.client import Client, Door
from bench.layers import Layer

REPOSITORY: Final = "bench/app"
_PIECE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Image:
    """`payload` is the checksum that v1 wants: over the json, a newline and the layer's bytes."""

    id: str
    json: str
    payload: str
    layer: Path

    @classmethod
    def of(cls, layer: Layer) -> Image:
        name = hashlib.sha256(layer.digest.encode()).hexdigest()
        described = json.dumps(
            {"id": name, "created": "2015-06-10T12:00:00Z", "architecture": "amd64", "os": "linux", "Size": layer.size}
        )
        payload = hashlib.sha256(described.encode() + b"\n")
        with layer.path.open("rb") as file:
            while piece := file.read(_PIECE):
                payload.update(piece)
        return cls(name, described, f"sha256:{payload.hexdigest()}", layer.path)

    @property
    def base(self) -> str:
        return f"/v1/images/{self.id}"


def push(client: Client, door: Door, image: Image, *, plain: bool = False) -> float:
    """Json, layer, checksum and the tag `latest`; returns the seconds of the first three."""
    announced = client.ask(door, "PUT", f"{image.base}/json", body=image.json)
    sent = client.ask(door, "PUT", f"{image.base}/layer", file=image.layer, plain=plain)
    confirmed = client.ask(door, "PUT", f"{image.base}/checksum", headers={"X-Docker-Checksum-Payload": image.payload})
    client.ask(door, "PUT", f"/v1/repositories/{REPOSITORY}/tags/latest", body=json.dumps(image.id))
    return announced.seconds + sent.seconds + confirmed.seconds


def pull(client: Client, door: Door, image: Image) -> float:
    """Seconds of one download of the layer."""
    return client.ask(door, "GET", f"{image.base}/layer").seconds


def delete(client: Client, door: Door) -> None:
    """The tag `latest`, and so the image and its bytes."""
    client.ask(door, "DELETE", f"/v1/repositories/{REPOSITORY}/tags/latest")
