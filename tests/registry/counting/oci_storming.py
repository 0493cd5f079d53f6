"""Fifty clients at once over https: pushers of every kind, alone or several as one, among deleters and readers.

Pushes share blobs, images, repositories and tags as far as they can. Some are left behind half-way, so that promises
run out while others push.
"""

from __future__ import annotations

import json
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final

import httpx

from tests.parts.registry import Running
from tests.registry.counting import oci_pushers as pushers
from tests.registry.counting.oci_images import Document, blob, image, index
from tests.registry.counting.oci_pushers import Late, Lost, Push, Strange, Wire
from tests.registry.protocol import pushing as v1
from tests.registry.v2.documents import digest

_BASES: Final = [blob(f"base {number}", 9000) for number in range(5)]
IMAGES: Final = [
    image(f"image {number}", _BASES[number % 5], blob(f"layer {number % 12}", 3000)) for number in range(30)
]
INDEXES: Final = [
    *[index(f"index {number}", IMAGES[number], IMAGES[number + 5]) for number in range(8)],
    index("nested", index("index 0", IMAGES[0], IMAGES[5]), IMAGES[20]),
]
NOTES: Final = [image(f"note {number}", blob("note"), subject=IMAGES[number]) for number in range(6)]
DOCUMENTS: Final = {each.digest: each for each in (*IMAGES, *INDEXES, *NOTES)}
BLOBS: Final = {digest(data): data for each in DOCUMENTS.values() for data in each.all_blobs}
# Whole repositories are deleted where only images are pushed: an index would lose its children.
SHARED: Final = ("storm/a", "storm/b", "library/c")
FLEETING: Final = "storm/fleeting"
REPOSITORIES: Final = (*SHARED, FLEETING)
TAGS: Final = ("1", "2", "3", "4")

Act = Callable[["Client"], None]
Way = Callable[[Push, str], None]


@dataclass(slots=True)
class Told:
    """How often each thing was done, and what must not have happened."""

    done: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Client:
    """`acts` are what it does, at random, until its time is up."""

    wire: Wire
    acts: Sequence[Act]
    told: Told = field(default_factory=Told)

    @property
    def random(self) -> Random:
        return self.wire.random

    def run(self, deadline: float) -> None:
        while time.monotonic() < deadline:
            act = self.random.choice(self.acts)
            try:
                act(self)
            except Late:
                self.told.done["late"] += 1
            except (Lost, Strange) as wrong:
                self.told.failures.append(f"{self.wire.http.headers['User-Agent']}: {wrong!r}")
            except Exception:  # noqa: BLE001  whatever it is, the test is to say so
                self.told.failures.append(traceback.format_exc())
                return

    def count(self, what: str) -> None:
        self.told.done[what] += 1

    def place(self) -> str:
        return f"/v2/{self.random.choice(REPOSITORIES)}/manifests/{self.random.choice(TAGS)}"


def pushing(way: Way, documents: Sequence[Document], names: Sequence[str] = REPOSITORIES) -> Act:
    """One push in eight is left behind at its last manifest."""

    def push(client: Client) -> None:
        name, elsewhere = client.random.choice(names), client.random.choice(SHARED)
        left = client.random.random() < 0.125
        way(Push(client.wire, name, client.random.choice(documents), elsewhere, left), client.random.choice(TAGS))
        client.count("left" if left else "push")

    return push


def v1_push(client: Client) -> None:
    """An old docker, with a layer that v2 pushes share."""
    base = v1.Layer(v1.fresh_id(), b"", None, client.random.choice(_BASES))
    base = v1.Layer(base.id, json.dumps({"id": base.id}).encode(), None, base.layer)
    v1.push(client.wire.http, client.random.choice(SHARED), client.random.choice(TAGS), base)
    client.count("v1 push")


def retag(client: Client) -> None:
    """It reads, which promises nothing, so what it read may be gone when it writes."""
    old, new = client.place(), client.place()
    new = f"{old.rpartition('/')[0]}/{new.rpartition('/')[2]}"
    found = client.wire.ask("GET", old, {200, 404})
    if found.status_code == 200:
        headers = {"Content-Type": found.headers["Content-Type"]}
        client.wire.ask("PUT", new, {201, 400}, content=found.content, headers=headers)
        client.count("retag")


def read(client: Client) -> None:
    """What a tag points at is what was pushed, as long as it is there."""
    place = client.place()
    found = client.wire.ask("GET", place, {200, 404})
    document = DOCUMENTS.get(found.headers.get("Docker-Content-Digest", ""))
    if found.status_code == 404 or document is None:  # made of a v1 push
        return
    assert found.content == document.body
    for data in document.blobs:
        got = client.wire.ask("GET", f"{place.partition('/manifests/')[0]}/blobs/{digest(data)}", {200, 404})
        assert got.status_code == 404 or got.content == data
    client.count("read")


def untag(client: Client) -> None:
    if client.wire.ask("DELETE", client.place(), {202, 404}).status_code == 202:
        client.count("untag")


def untag_over_the_api(client: Client) -> None:
    place = client.place().replace("/v2/", "/api/repositories/").replace("/manifests/", "/tags/")
    if client.wire.ask("DELETE", place, {200, 404}).status_code == 200:
        client.count("untag")


def delete(client: Client) -> None:
    """By digest; an index keeps its children."""
    name = client.random.choice(REPOSITORIES)
    place = f"/v2/{name}/manifests/{client.random.choice(list(DOCUMENTS))}"
    if client.wire.ask("DELETE", place, {202, 404, 405}).status_code == 202:
        client.count("delete")


def delete_repository(client: Client) -> None:
    if client.wire.ask("DELETE", f"/api/repositories/{FLEETING}", {200, 404}).status_code == 200:
        client.count("delete repository")


_DELETES: Final[Sequence[Act]] = (*[untag] * 4, *[untag_over_the_api] * 2, *[delete] * 4, delete_repository)
_ALL: Final = (*IMAGES, *INDEXES)


def clients(running: Running, passwords: Sequence[str], lease: float, seed: int) -> list[Client]:
    """Thirty-eight pushers, twelve of them as three; two over v1; and ten who do other things."""
    made: list[Client] = []

    def add(count: int, agent: str, *acts: Act, as_one: bool = False) -> None:
        for _ in range(count):
            number = 1000 + count if as_one else len(made)
            http = _client(running, passwords, number % len(passwords), agent.format(number))
            made.append(Client(Wire(http, Random(seed + len(made)), lease), acts))

    docker_push, crane_push = pushing(pushers.docker, IMAGES), pushing(pushers.crane, IMAGES)
    add(8, pushers.DOCKER, docker_push)
    add(5, pushers.DOCKER, docker_push, as_one=True)
    add(3, pushers.DOCKER, docker_push, as_one=True)
    add(4, pushers.CRANE, crane_push, as_one=True)
    add(8, pushers.CONTAINERD, pushing(pushers.containerd, _ALL, SHARED))
    add(4, pushers.CRANE, pushing(pushers.crane, _ALL, SHARED))
    add(3, pushers.SKOPEO, pushing(pushers.skopeo, _ALL, SHARED))
    add(3, pushers.ORAS, pushing(pushers.oras, NOTES, SHARED))
    add(2, v1.AGENT + " {}", v1_push)
    add(2, "retagger/{}", retag)
    add(2, "reader/{}", read)
    for number in range(6):
        http = running.client(headers={"User-Agent": f"deleter/{number}"})
        made.append(Client(Wire(http, Random(seed - number), lease), _DELETES))
    return made


def _client(running: Running, passwords: Sequence[str], number: int, agent: str) -> httpx.Client:
    return running.client(f"user{number}", passwords[number], headers={"User-Agent": agent})


def run(storm: Sequence[Client], seconds: float) -> Told:
    deadline = time.monotonic() + seconds
    threads = [threading.Thread(target=client.run, args=(deadline,)) for client in storm]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    whole = Told()
    for client in storm:
        whole.done += client.told.done
        whole.failures += client.told.failures
    return whole
