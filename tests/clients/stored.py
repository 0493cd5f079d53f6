"""What a registry holds, asked by other means than the client under test."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Final

import httpx

from tests.parts.registry import Running

ACCEPTED: Final = ", ".join(
    (
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    )
)


@dataclass(frozen=True, slots=True)
class Space:
    """`bytes` as the registry counts them, `files` what lies in its folder of layers, `leases` promises to pushes."""

    bytes: int
    files: frozenset[str]
    leases: int


def space(registry: Running) -> Space:
    usage = registry.client().get("/api/usage").json()
    layers = registry.data / "layers"
    files = frozenset(path.relative_to(layers).as_posix() for path in layers.rglob("*") if path.is_file())
    return Space(usage["bytes"], files, usage["leases"])


def promises(registry: Running, *, expected: int, within: float) -> int:
    """How many there are, as soon as that is what is expected, or at the end of the seconds."""
    deadline = time.monotonic() + within
    while (found := space(registry).leases) != expected and time.monotonic() < deadline:
        time.sleep(0.2)
    return found


def at_rest(registry: Running, *, within: float = 30) -> Space:
    """As `space`, once what earlier tests have pushed and deleted is gone, or at the end of the seconds."""
    deadline = time.monotonic() + within
    while (found := space(registry)).bytes and time.monotonic() < deadline:
        time.sleep(0.2)
    return found


def digest(registry: Running, repository: str, tag: str = "1") -> str:
    told: str = _manifest(registry, repository, tag).headers["Docker-Content-Digest"]
    return told


def manifest(registry: Running, repository: str, tag: str) -> dict[str, Any]:
    known: dict[str, Any] = _manifest(registry, repository, tag).json()
    return known


def layers(registry: Running, repository: str, tag: str = "1") -> set[str]:
    """Digests of the image's layers, without its configuration."""
    return {layer["digest"] for layer in manifest(registry, repository, tag)["layers"]}


def has(registry: Running, repository: str, tag: str) -> bool:
    asked = registry.client().head(f"/v2/{repository}/manifests/{tag}", headers={"Accept": ACCEPTED})
    assert asked.status_code in {200, 404}
    return asked.status_code == 200


def tag_again(registry: Running, repository: str, tag: str, other: str) -> None:
    """A second tag on the manifest of the first."""
    known = _manifest(registry, repository, tag)
    put = registry.client().put(
        f"/v2/{repository}/manifests/{other}",
        content=known.content,
        headers={"Content-Type": known.headers["Content-Type"]},
    )
    assert put.status_code == 201, put.text


def _manifest(registry: Running, repository: str, tag: str) -> httpx.Response:
    answer = registry.client().get(f"/v2/{repository}/manifests/{tag}", headers={"Accept": ACCEPTED})
    assert answer.status_code == 200, answer.text
    return answer
