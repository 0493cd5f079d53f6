"""One repository seen over both protocols, by today's clients and by engines of yesterday."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import httpx

from tests.clients.v1 import DockerV1
from tests.clients.v1_model import Layer, Pulled
from tests.parts.registry import Running
from tests.registry.bridge.images import NewImage
from tests.registry.protocol import pushing as old_pushing
from tests.registry.protocol.pushing import AGENT as AGENT  # noqa: PLC0414  for the tests beside this
from tests.registry.v2.pushing import Repository

VERSIONS = ("1.6.2", "1.9.1", "1.13.1")


@dataclass(frozen=True, slots=True)
class Both:
    """`new` is the repository of v2; `old` speaks v1 as docker 1.6 does, one request at a time."""

    running: Running
    name: str
    new: Repository
    old: httpx.Client

    def at(self, name: str) -> Both:
        """Another repository."""
        return Both(self.running, name, Repository(self.new.http, name), self.old)

    def engine(self, version: str = "1.9.1", user: str = "admin", password: str = "") -> DockerV1:
        """An old engine. 1.13 would choose v2 here, so it is told that there is none."""
        return DockerV1(
            self.running.host,
            ca=self.running.ca,
            user=user,
            password=password or self.running.password,
            version=version,
            wait=lambda _seconds: None,
            asks_v2=version != "1.13.1",
        )

    # Pushing

    def push_new(self, image: NewImage, tag: str = "") -> str:
        """Over v2; returns the digest of the manifest."""
        for blob in image.blobs:
            self.new.blob(blob)
        return self.new.manifest(image.manifest, tag)

    def push_old(self, tag: str, *chain: Layer) -> httpx.Response:
        """Over v1 and byte by byte, for layers that no engine would send; returns the answer to the tag."""
        for layer in chain:
            old_pushing.put_image(self.old, layer)
        return self.point(tag, chain[-1].id)

    def point(self, tag: str, image_id: str) -> httpx.Response:
        answer = old_pushing.put_tag(self.old, self.name, tag, image_id)
        assert answer.status_code == 200, answer.text
        return answer

    # Looking

    def old_tags(self) -> dict[str, str]:
        """Tag to image id; empty for a repository that is not there."""
        answer = self.old.get(f"/v1/repositories/{self.name}/tags")
        assert answer.status_code in {200, 404}, answer.text
        tags: dict[str, str] = answer.json() if answer.status_code == 200 else {}
        return tags

    def old_json(self, image_id: str) -> dict[str, Any]:
        answer = self.old.get(f"/v1/images/{image_id}/json")
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = json.loads(answer.content)
        return told

    def knows_old(self, image_id: str) -> bool:
        """Whether any of the three addresses of a v1 image is there; they must agree."""
        found = {self.old.get(f"/v1/images/{image_id}/{part}").status_code for part in ("json", "ancestry", "layer")}
        assert found in ({200}, {404}), found
        return found == {200}

    def old_layer(self, image_id: str) -> bytes:
        answer = self.old.get(f"/v1/images/{image_id}/layer")
        assert answer.status_code == 200, answer.text
        return answer.content

    def ancestry(self, image_id: str) -> list[str]:
        """Root first."""
        answer = self.old.get(f"/v1/images/{image_id}/ancestry")
        assert answer.status_code == 200, answer.text
        ids: list[str] = answer.json()
        return ids[::-1]

    def manifest(self, reference: str) -> dict[str, Any]:
        answer = self.new.get(reference)
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = json.loads(answer.content)
        return told

    def config(self, reference: str) -> bytes:
        return self.blob(self.manifest(reference)["config"]["digest"])

    def blob(self, name: str) -> bytes:
        """Checked against its digest."""
        answer = self.new.read(name)
        assert answer.status_code == 200, answer.text
        assert hashlib.sha256(answer.content).hexdigest() == name.removeprefix("sha256:")
        return answer.content

    def pulls_whole(self, reference: str) -> bool:
        """Every blob of the image comes, with the digest and the size that its descriptor says."""
        told = self.manifest(reference)
        return all(len(self.blob(each["digest"])) == each["size"] for each in (told["config"], *told["layers"]))

    def usage(self) -> dict[str, int]:
        told: dict[str, int] = self.old.get("/api/usage").json()
        return told


def ids_of(pulled: Pulled) -> list[str]:
    """Root first."""
    return [layer.id for layer in pulled.layers]
