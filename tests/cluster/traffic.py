"""Clients that go on while something happens to a registry, and never try anything twice: what failed, and when.

Small requests, at least fifty in a second, and one download and one upload that are under way all the time: each byte
of theirs comes slowly, so that both last as long as the event.
"""

from __future__ import annotations

import hashlib
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Final
from uuid import uuid4

import httpx

from tests.cluster.registry import Registry

RATE: Final = 60  # small requests in a second, all clients together
_CLIENTS: Final = 6
_PIECE: Final = 64 << 10
_LARGE: Final = 48 << 20
_LEAST: Final = 30.0  # seconds that download and upload last
CONFIG: Final = b"{}"
_FORM: Final = "application/vnd.oci.image.manifest.v1+json"
FORM: Final = {"content-type": _FORM}
ACCEPT: Final = {"accept": _FORM}


@dataclass(frozen=True, slots=True)
class Failure:
    """`at` is in seconds since the traffic began; `status` 0 when there was no answer."""

    at: float
    what: str
    status: int
    told: str
    retry_after: str = ""


@dataclass(slots=True)
class Traffic:
    """`requests` counts what came to an end."""

    registry: Registry
    repository: str
    password: str
    began: float = field(default_factory=time.monotonic)
    requests: int = 0
    failures: list[Failure] = field(default_factory=list)
    trust: ssl.SSLContext = field(default_factory=ssl.create_default_context)
    _over: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began

    def told(self) -> str:
        shown = "\n".join(str(each) for each in self.failures[:20])
        return f"{len(self.failures)} of {self.requests} requests failed in {self.seconds:.0f} s:\n{shown}"

    def span(self) -> float:
        """Seconds from the first failure to the last."""
        seen = [each.at for each in self.failures]
        return max(seen, default=0.0) - min(seen, default=0.0)

    def believe(self, authorities: str) -> None:
        """What the clients trust from now on, beside what they trusted before."""
        self.trust.load_verify_locations(cadata=authorities)

    def _client(self) -> httpx.Client:
        return self.registry.client(password=self.password, trusting=self.trust)

    def _ask(self, what: str, ask: Callable[[], httpx.Response], wanted: int) -> httpx.Response | None:
        try:
            answer = ask()
        except httpx.HTTPError as lost:
            self._count(Failure(self.seconds, what, 0, f"{type(lost).__name__}: {lost}"))
            return None
        if answer.status_code != wanted:
            again = answer.headers.get("retry-after", "")
            self._count(Failure(self.seconds, what, answer.status_code, answer.text[:200], again))
            return None
        self._count()
        return answer

    def _count(self, failure: Failure | None = None) -> None:
        with self._lock:
            self.requests += 1
            if failure:
                self.failures.append(failure)

    def _small(self, number: int) -> None:
        """Reads, and pushes of another image each time."""
        name = f"{self.repository}-{number}"
        tick = time.monotonic()
        for turn in count():
            with self._client() as client:  # a connection of its own for each image
                for what, ask, wanted in _image(client, name, turn):
                    if self._over.is_set():
                        return
                    answer = self._ask(what, ask, wanted)
                    tick += _CLIENTS / RATE
                    time.sleep(max(0.0, tick - time.monotonic()))
                    if answer is None:
                        break  # what comes next stands on it

    def _download(self, blob: str) -> None:
        with self._client() as client:
            while not self._over.is_set():
                self._ask("a long download", lambda: self._slowly(client, blob), 200)

    def _slowly(self, client: httpx.Client, blob: str) -> httpx.Response:
        began, got = time.monotonic(), 0
        with client.stream("GET", f"/v2/{self.repository}/blobs/{blob}") as answer:
            if answer.status_code == 200:
                for piece in answer.iter_raw(_PIECE):
                    got += len(piece)
                    time.sleep(max(0.0, began + _LEAST * got / _LARGE - time.monotonic()))
            else:
                answer.read()
        return answer

    def _upload(self) -> None:
        with self._client() as client:
            while not self._over.is_set():
                begun = self._ask(
                    "the start of a long upload", lambda: client.post(f"/v2/{self.repository}/blobs/uploads/"), 202
                )
                if begun is None:
                    time.sleep(0.2)
                    continue
                body = uuid4().bytes * (_PIECE // 16)
                pieces = _LARGE // _PIECE // 4
                place = begun.headers["location"]
                place += f"{'&' if '?' in place else '?'}digest={digest(body * pieces)}"
                self._ask("a long upload", lambda: client.put(place, content=_dripping(body, pieces)), 201)  # noqa: B023


def _dripping(piece: bytes, pieces: int) -> Iterator[bytes]:
    began = time.monotonic()
    for number in range(pieces):
        time.sleep(max(0.0, began + _LEAST * number / pieces - time.monotonic()))
        yield piece


def _image(client: httpx.Client, name: str, turn: int) -> Iterator[tuple[str, Callable[[], httpx.Response], int]]:
    """The requests of a push in one piece each, of a pull, and of a delete."""
    layer = f"layer {name} {turn} {uuid4()}".encode()
    document = manifest(layer)
    for blob in (CONFIG, layer):
        yield "an upload", partial(client.post, f"/v2/{name}/blobs/uploads/?digest={digest(blob)}", content=blob), 201
    yield "a manifest", lambda: client.put(f"/v2/{name}/manifests/{turn}", content=document, headers=FORM), 201
    for _ in range(5):
        yield "a ping", lambda: client.get("/v2/"), 200
        yield (
            "a pull",
            lambda: client.get(f"/v2/{name}/manifests/{turn}", headers=ACCEPT),
            200,
        )
        yield "a blob", lambda: client.get(f"/v2/{name}/blobs/{digest(layer)}"), 200
        yield "tags", lambda: client.get(f"/v2/{name}/tags/list"), 200
    yield "a delete", lambda: client.delete(f"/v2/{name}/manifests/{turn}"), 202


def manifest(layer: bytes) -> bytes:
    """Of an image with this one layer, as it is sent."""
    described = {
        "config": ("application/vnd.oci.image.config.v1+json", CONFIG),
        "layer": ("application/vnd.oci.image.layer.v1.tar", layer),
    }
    made = {
        key: {"mediaType": form, "digest": digest(data), "size": len(data)} for key, (form, data) in described.items()
    }
    held = {"schemaVersion": 2, "mediaType": _FORM, "config": made["config"], "layers": [made["layer"]]}
    return json.dumps(held).encode()


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@contextmanager
def during(registry: Registry, repository: str = "team/traffic") -> Iterator[Traffic]:
    """Traffic from before the block until after it, long transfers included."""
    large = uuid4().bytes * (_LARGE // 16)
    traffic = Traffic(registry, repository, registry.password())
    traffic.believe(registry.ca)
    with traffic._client() as client:
        pushed = client.post(f"/v2/{repository}/blobs/uploads/?digest={digest(large)}", content=large)
        assert pushed.status_code == 201, pushed.text
    clients = [threading.Thread(target=traffic._small, args=(number,)) for number in range(_CLIENTS)]
    clients += [
        threading.Thread(target=traffic._download, args=(digest(large),)),
        threading.Thread(target=traffic._upload),
    ]
    for client_thread in clients:
        client_thread.start()
    try:
        time.sleep(2)
        yield traffic
        time.sleep(2)
    finally:
        traffic._over.set()
        for client_thread in clients:
            client_thread.join()
