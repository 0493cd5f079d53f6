"""Small v1 images, and pushing them one request at a time."""

from __future__ import annotations

import gzip
import hashlib
import json
import secrets
from typing import Any

import httpx

from tests.clients.v1_model import Layer as Layer  # noqa: PLC0414  for the tests beside this

AGENT = "docker/1.6.2 go/go1.4.2 git-commit/7c8fca2 kernel/4.0.5-Boot2Docker os/Linux arch/AMD64"


def fresh_id() -> str:
    return secrets.token_hex(32)


def image(parent: Layer | None = None, *, size: int = 2000, image_id: str | None = None, **members: Any) -> Layer:
    """An image with a gzip layer of about `size` incompressible bytes, on top of `parent`."""
    own = image_id or fresh_id()
    told = {"id": own} | ({"parent": parent.id} if parent else {}) | members
    layer = gzip.compress(secrets.token_bytes(size), mtime=0)
    return Layer(own, json.dumps(told).encode(), parent.id if parent else None, layer)


def blob(layer: Layer) -> bytes:
    assert isinstance(layer.layer, bytes)
    return layer.layer


def payload(layer: Layer) -> str:
    """The checksum that docker sends: sha256 over json, newline and layer bytes."""
    return "sha256:" + hashlib.sha256(layer.json + b"\n" + blob(layer)).hexdigest()


def digest(layer: Layer) -> str:
    return "sha256:" + hashlib.sha256(blob(layer)).hexdigest()


def manifest(client: httpx.Client, name: str, tag: str) -> httpx.Response:
    """What today's engines get for a tag."""
    answer = client.get(f"/v2/{name}/manifests/{tag}", headers={"User-Agent": "docker/20.10.24"})
    assert answer.status_code == 200, answer.text
    return answer


def manifest_digest(client: httpx.Client, name: str, tag: str) -> str:
    return str(manifest(client, name, tag).headers["Docker-Content-Digest"])


def config(client: httpx.Client, name: str, tag: str) -> dict[str, Any]:
    """Digest and size of the config that today's engines get; it is stored beside the layers."""
    told = manifest(client, name, tag).json()["config"]
    return {"digest": told["digest"], "size": told["size"]}


def config_size(client: httpx.Client, name: str, tag: str) -> int:
    return int(config(client, name, tag)["size"])


def put_json(client: httpx.Client, layer: Layer) -> httpx.Response:
    return client.put(f"/v1/images/{layer.id}/json", content=layer.json)


def put_layer(client: httpx.Client, layer: Layer) -> httpx.Response:
    return client.put(f"/v1/images/{layer.id}/layer", content=blob(layer))


def put_checksum(client: httpx.Client, layer: Layer, claimed: str | None = None) -> httpx.Response:
    headers = {"X-Docker-Checksum-Payload": payload(layer) if claimed is None else claimed}
    return client.put(f"/v1/images/{layer.id}/checksum", headers=headers)


def put_tag(client: httpx.Client, name: str, tag: str, image_id: str, *, agent: str = "") -> httpx.Response:
    """`agent` other than the client's makes it another pusher, to whom nothing was promised."""
    headers = {"User-Agent": agent} if agent else {}
    return client.put(f"/v1/repositories/{name}/tags/{tag}", content=json.dumps(image_id), headers=headers)


def put_image(client: httpx.Client, layer: Layer) -> None:
    """Json, layer, checksum: all three must succeed."""
    for step in (put_json, put_layer, put_checksum):
        answer = step(client, layer)
        assert (answer.status_code, answer.text) == (200, "true"), (
            f"{step.__name__}: {answer.status_code} {answer.text}"
        )


def push(client: httpx.Client, name: str, tag: str, *chain: Layer) -> None:
    """Upload the images, root first, and tag the last."""
    for layer in chain:
        put_image(client, layer)
    answer = put_tag(client, name, tag, chain[-1].id)
    assert answer.status_code == 200, answer.text


def pushed(client: httpx.Client, name: str, tag: str = "latest", *, depth: int = 1, **made: Any) -> list[Layer]:
    """A new chain under a tag, root first."""
    chain: list[Layer] = []
    for _ in range(depth):
        chain.append(image(chain[-1] if chain else None, **made))
    push(client, name, tag, *chain)
    return chain


def error(answer: httpx.Response) -> tuple[int, str]:
    """Status and text of a v1 refusal, which is a flat object with one member."""
    body = answer.json()
    assert set(body) == {"error"}, body
    assert answer.headers["content-type"] == "application/json"
    return answer.status_code, body["error"]
