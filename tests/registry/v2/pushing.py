"""A small v2 client: a repository to which blobs, images, indexes and artifacts are pushed one request at a time."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.registry.v2 import documents
from tests.registry.v2.documents import EMPTY, OCI_INDEX, digest, media_type

Headers = dict[str, str]


@dataclass(frozen=True, slots=True)
class Repository:
    """One repository as one client sees it. `pushed` holds by digest what went up over it."""

    http: httpx.Client
    name: str
    pushed: dict[str, bytes] = field(default_factory=dict)

    def path(self, rest: str) -> str:
        return f"/v2/{self.name}/{rest}"

    def seen_by(self, http: httpx.Client) -> Repository:
        """The same repository, for another client."""
        return Repository(http, self.name, self.pushed)

    # Blobs

    def begin(self) -> str:
        """A new upload's place."""
        answer = self.http.post(self.path("blobs/uploads/"))
        assert answer.status_code == 202, answer.text
        return answer.headers["Location"]

    def append(self, place: str, data: bytes | Iterable[bytes], content_range: str = "") -> httpx.Response:
        headers = {"Content-Range": content_range} if content_range else {}
        return self.http.patch(place, content=data, headers=headers)

    def finish(self, place: str, name: str, data: bytes = b"", content_range: str = "") -> httpx.Response:
        headers = {"Content-Range": content_range} if content_range else {}
        return self.http.put(place, params={"digest": name}, content=data, headers=headers)

    def blob(self, data: bytes, algorithm: str = "sha256") -> str:
        """Push it as most clients do: begin, all in one piece, finish."""
        place = self.begin()
        answer = self.append(place, data)
        assert answer.status_code == 202, answer.text
        name = digest(data, algorithm)
        answer = self.finish(answer.headers["Location"], name)
        assert answer.status_code == 201, answer.text
        self.pushed[name] = data
        return name

    def mount(self, name: str, source: str | None = None) -> httpx.Response:
        query = {"mount": name} | ({"from": source} if source is not None else {})
        return self.http.post(self.path("blobs/uploads/"), params=query)

    def read(self, name: str, **headers: str) -> httpx.Response:
        """Never a promise, unlike `ask`."""
        return self.http.get(self.path(f"blobs/{name}"), headers=headers)

    def ask(self, name: str) -> httpx.Response:
        """Whether the blob is there; for who may push, the answer is a promise."""
        return self.http.head(self.path(f"blobs/{name}"))

    def holds(self, name: str) -> bool:
        answer = self.read(name)
        assert answer.status_code in {200, 404}, answer.text
        return answer.status_code == 200

    def delete_blob(self, name: str) -> httpx.Response:
        return self.http.delete(self.path(f"blobs/{name}"))

    # Manifests

    def put(self, body: bytes, reference: str = "", content_type: str | None = None, **query: Any) -> httpx.Response:
        """Without a reference, by the digest of the body."""
        told = media_type(body) if content_type is None else content_type
        headers = {"Content-Type": told} if told else {}
        place = self.path(f"manifests/{reference or digest(body)}")
        answer = self.http.put(place, content=body, headers=headers, params=query or None)
        if answer.status_code == 201:
            self.pushed[digest(body)] = body
        return answer

    def manifest(self, body: bytes, tag: str = "") -> str:
        answer = self.put(body, tag)
        assert answer.status_code == 201, answer.text
        return digest(body)

    def image(self, *layers: bytes, tag: str = "", config: bytes = b"", **members: Any) -> str:
        """Push config, layers and manifest; each blob once. The config is a new one unless given."""
        config = config or documents.config(*layers)
        for data in dict.fromkeys((config, *layers)):
            self.blob(data)
        return self.manifest(documents.image(*layers, config=config, **members), tag)

    def index(self, *children: str, tag: str = "", **members: Any) -> str:
        """An index of manifests that were pushed over this."""
        return self.manifest(documents.index(*map(self.pushed.__getitem__, children), **members), tag)

    def artifact(self, kind: str, *layers: bytes, tag: str = "", subject: str = "", **members: Any) -> str:
        """Something else than an image, with the empty config; perhaps about a manifest pushed over this."""
        if subject:
            members["subject"] = documents.pointer(self.pushed[subject])
        return self.image(*layers, tag=tag, config=EMPTY, artifactType=kind, **members)

    def get(self, reference: str, **headers: str) -> httpx.Response:
        return self.http.get(self.path(f"manifests/{reference}"), headers=headers)

    def head(self, reference: str, **headers: str) -> httpx.Response:
        return self.http.head(self.path(f"manifests/{reference}"), headers=headers)

    def pulled(self, reference: str) -> str:
        """The digest of the manifest as it comes, after checking that what it says of itself is true."""
        answer = self.get(reference)
        assert answer.status_code == 200, answer.text
        name = digest(answer.content, answer.headers["Docker-Content-Digest"].partition(":")[0])
        assert answer.headers["Docker-Content-Digest"] == name
        return name

    def knows(self, reference: str) -> bool:
        answer = self.get(reference)
        assert answer.status_code in {200, 404}, answer.text
        return answer.status_code == 200

    def delete(self, reference: str) -> httpx.Response:
        return self.http.delete(self.path(f"manifests/{reference}"))

    # Lists

    def tags(self, **query: Any) -> list[str]:
        """None at all for a repository that is not there."""
        answer = self.http.get(self.path("tags/list"), params=query or None)
        if answer.status_code == 404:
            return []
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert body["name"] == self.name
        listed: list[str] = body["tags"]
        return listed

    def referrers(self, subject: str, query: str = "") -> list[dict[str, Any]]:
        """`query` as it is to stand in the address, with its question mark."""
        answer = self.http.get(self.path(f"referrers/{subject}{query}"))
        assert answer.status_code == 200, answer.text
        assert answer.headers["Content-Type"] == OCI_INDEX
        body = answer.json()
        assert (body["schemaVersion"], body["mediaType"]) == (2, OCI_INDEX)
        found: list[dict[str, Any]] = body["manifests"]
        return found


def size(*contents: bytes) -> int:
    """Of different contents together."""
    return sum(map(len, set(contents)))


def document(answer: httpx.Response) -> Any:
    return json.loads(answer.content)
