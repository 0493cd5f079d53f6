"""How real clients push over v2, request by request: docker, containerd, crane, skopeo, oras.

Each push asks, mounts or uploads every blob once, so the registry owes it every manifest that names them; a refusal
that names what it was promised is a lost push.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

import httpx

from tests.registry.counting.oci_images import Document
from tests.registry.v2.documents import digest

DOCKER: Final = "docker/20.10.24 go/go1.18.7 git-commit/{} kernel/6.1.0 os/linux arch/amd64 UpstreamClient(x)"
CONTAINERD: Final = "containerd/1.7.{}"
CRANE: Final = "crane/0.19.{} go-containerregistry/0.19"
SKOPEO: Final = "skopeo/1.9.{}"
ORAS: Final = "oras-go/2.{}"


class Lost(AssertionError):
    """What was said to be there is not."""


class Strange(AssertionError):
    """An answer that no client counts on."""


class Late(Exception):
    """The push took longer than promises last, so nothing was owed to it."""


@dataclass(slots=True)
class Wire:
    """One client of one repository at a time. Every answer must be one of those that the step knows."""

    http: httpx.Client
    random: Random
    lease: float

    def ask(self, method: str, path: str, known: set[int], **options: Any) -> httpx.Response:
        answer = self.http.request(method, path, **options)
        if answer.status_code not in known:
            raise Strange(f"{method} {answer.request.url}: {answer.status_code} {answer.text[:500]}")
        return answer


@dataclass(slots=True)
class Push:
    """One push of one document; `owed` holds what was said to be there. One that is left has no last manifest."""

    wire: Wire
    name: str
    document: Document
    elsewhere: str
    left: bool = False
    owed: set[str] = field(default_factory=set)
    began: float = field(default_factory=time.monotonic)

    # Blobs

    def asked(self, data: bytes) -> bool:
        there = self.wire.ask("HEAD", self._blob(data), {200, 404}).status_code == 200
        if there:
            self._owe(digest(data))
        return there

    def mounted(self, data: bytes, source: str | None) -> str:
        """Empty when it was; else the place of the upload that it became."""
        query = {"mount": digest(data)} | ({"from": source} if source else {})
        answer = self.wire.ask("POST", f"/v2/{self.name}/blobs/uploads/", {201, 202}, params=query)
        if answer.status_code == 201:
            self._owe(digest(data))
            return ""
        return answer.headers["Location"]

    def begun(self) -> str:
        answer = self.wire.ask("POST", f"/v2/{self.name}/blobs/uploads/", {202})
        return str(answer.headers["Location"])

    def appended(self, place: str, data: bytes, *, chunked: bool) -> str:
        body = _pieces(data) if chunked else data
        return str(self.wire.ask("PATCH", place, {202}, content=body).headers["Location"])

    def finished(self, place: str, data: bytes, body: bytes = b"") -> None:
        self.wire.ask("PUT", place, {201}, params={"digest": digest(data)}, content=body)
        self._owe(digest(data))

    def cancelled(self, place: str) -> None:
        self.wire.ask("DELETE", place, {204})

    # Manifests

    def tagged(self, tag: str) -> bool:
        """Whether the tag points at the document already; containerd and crane leave it at that."""
        answer = self.wire.ask("HEAD", f"/v2/{self.name}/manifests/{tag}", {200, 404})
        return bool(answer.headers.get("Docker-Content-Digest") == self.document.digest)

    def asked_for(self, document: Document) -> bool:
        there = self.wire.ask("HEAD", self._manifest(document.digest), {200, 404}).status_code == 200
        if there:
            self._owe(document.digest)
        return there

    def put(self, document: Document, reference: str = "") -> None:
        """Under its digest, or a tag. Raises Lost, or Late when promises may have ended."""
        headers = {"Content-Type": document.media_type}
        path = self._manifest(reference or document.digest)
        answer = self.wire.ask("PUT", path, {201, 400}, content=document.body, headers=headers)
        if answer.status_code == 400:
            self._judge(answer, document)
        if not reference:
            self._owe(document.digest)

    def end(self, reference: str = "") -> None:
        if not self.left:
            self.put(self.document, reference)

    def still_there(self, data: bytes) -> None:
        """docker's look after an upload. Raises Lost, or Late."""
        if self.wire.ask("HEAD", self._blob(data), {200, 404}).status_code == 404:
            self._in_time()
            raise Lost(f"{self.name}: {digest(data)} was uploaded or mounted, then it was not there")

    def _judge(self, refusal: httpx.Response, document: Document) -> None:
        told = refusal.json()["errors"]
        if any(each["code"] != "MANIFEST_BLOB_UNKNOWN" for each in told):
            raise Strange(f"{document} into {self.name}: {told}")
        self._in_time()
        missing = [each["detail"]["digest"] for each in told]
        broken = [each for each in missing if each in self.owed]
        raise Lost(f"{document} into {self.name} lacks {missing}, of which {broken} were promised")

    def _in_time(self) -> None:
        if time.monotonic() - self.began > self.wire.lease * 0.9:
            raise Late

    def _owe(self, name: str) -> None:
        self.owed.add(name)

    def _blob(self, data: bytes) -> str:
        return f"/v2/{self.name}/blobs/{digest(data)}"

    def _manifest(self, reference: str) -> str:
        return f"/v2/{self.name}/manifests/{reference}"


def docker(push: Push, tag: str) -> None:
    """The classic store: asks for what it remembers, mounts, streams; looks once more; one manifest, by its tag."""
    for data in push.document.blobs:
        _docker_blob(push, data)
    push.end(tag)


def _docker_blob(push: Push, data: bytes) -> None:
    if push.wire.random.random() < 0.5 and push.asked(data):
        return
    place = push.mounted(data, push.elsewhere) if push.wire.random.random() < 0.4 else push.begun()
    if place:
        place = push.appended(place, data, chunked=True)
        push.finished(place, data)
    push.still_there(data)


def containerd(push: Push, tag: str) -> None:
    """Also docker's newer store and buildkit: all blobs, then manifests, children by digest first."""
    if push.tagged(tag):
        return
    for data in push.document.all_blobs:
        if not push.asked(data):
            push.finished(push.begun(), data, data)
    for child in push.document.tree[:-1]:
        if not push.asked_for(child):
            push.put(child)
    push.end(tag)


def crane(push: Push, tag: str) -> None:
    """Child by child, each with its blobs; those that are there it skips whole."""
    done: set[bytes] = set()
    for document in push.document.tree:
        if document is not push.document and push.asked_for(document):
            continue
        for data in [data for data in document.blobs if data not in done]:
            done.add(data)
            _crane_blob(push, data)
        if document is not push.document:
            push.put(document)
    if not push.tagged(tag):
        push.end(tag)


def _crane_blob(push: Push, data: bytes) -> None:
    if push.asked(data):
        return
    if place := push.mounted(data, push.elsewhere):
        push.finished(push.appended(place, data, chunked=False), data)


def skopeo(push: Push, tag: str) -> None:
    """A mount that became an upload is cancelled, and begun anew."""
    for data in push.document.all_blobs:
        if push.asked(data):
            continue
        place = push.mounted(data, push.elsewhere)
        if place:
            push.cancelled(place)
            push.finished(push.appended(push.begun(), data, chunked=False), data)
    for child in push.document.tree[:-1]:
        push.put(child)
    push.end(tag)


def oras(push: Push, _tag: str) -> None:
    """Something about a manifest, by digest alone."""
    for data in push.document.blobs:
        if not push.asked(data):
            push.finished(push.begun(), data, data)
    push.end()


def _pieces(data: bytes) -> Iterator[bytes]:
    for at in range(0, len(data), 700):
        yield data[at : at + 700]
