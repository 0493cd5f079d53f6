"""What a pusher was told is there, stays there until its manifest comes; and nothing stays longer than that."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Final

import httpx
import pytest

from tests.parts.registry import Running
from tests.registry.protocol.pushing import AGENT as OLD_DOCKER
from tests.registry.protocol.pushing import pushed as pushed_over_v1
from tests.registry.v2 import documents, places
from tests.registry.v2.answers import CONTAINERD, DOCKER, connect, connect_as, files, refusal
from tests.registry.v2.documents import digest, noise
from tests.registry.v2.pushing import Repository

pytestmark = places.on_both_databases

AGENTS: Final = {"docker": DOCKER, "containerd": CONTAINERD}


@pytest.fixture
def layer() -> bytes:
    return noise(3000)


@pytest.fixture
def other(door: Running, newcomer: str) -> Iterator[httpx.Client]:
    """Somebody else, who may push and delete everywhere."""
    with connect_as(door, newcomer, "push") as client:
        yield client


@pytest.fixture(params=AGENTS)
def pusher(door: Running, request: pytest.FixtureRequest, repository: Repository) -> Iterator[Repository]:
    """The repository as a client with another agent sees it, which pushed nothing yet."""
    with connect(door, agent=AGENTS[request.param]) as client:
        yield repository.seen_by(client)


def pending(answer: httpx.Response) -> int:
    assert answer.status_code == 202, answer.text
    return int(answer.headers["Pier-Pending-Bytes"])


def upload(pusher: Repository, data: bytes) -> None:
    """As its kind does: docker asks whether it was taken."""
    pusher.blob(data)
    if pusher.http.headers["User-Agent"] == DOCKER:
        assert pusher.ask(digest(data)).status_code == 200


def use(pusher: Repository, layer: bytes, tag: str) -> str:
    """Push a manifest with the layer, and a config of its own."""
    config = documents.config(layer)
    upload(pusher, config)
    return pusher.manifest(documents.image(layer, config=config), tag)


def test_a_blob_that_a_pusher_was_told_of_survives_the_delete_of_its_last_tag(
    door: Running, repository: Repository, pusher: Repository, other: httpx.Client, layer: bytes
) -> None:
    repository.image(layer, tag="1")
    assert pusher.ask(digest(layer)).status_code == 200
    assert pending(repository.seen_by(other).delete("1")) == len(layer)
    pushed = use(pusher, layer, "2")
    assert pusher.pulled("2") == pushed
    assert pusher.read(digest(layer)).content == layer
    assert pending(pusher.delete("2")) == 0
    assert files(door, digest(layer)) == []


def test_nobody_else_sees_a_blob_that_is_only_promised(
    repository: Repository, pusher: Repository, other: httpx.Client, layer: bytes
) -> None:
    repository.image(layer, tag="1")
    pusher.ask(digest(layer))
    theirs = repository.seen_by(other)
    theirs.delete("1")
    assert pusher.holds(digest(layer))
    assert refusal(theirs.read(digest(layer))) == (404, "BLOB_UNKNOWN")
    assert theirs.ask(digest(layer)).status_code == 404
    use(pusher, layer, "2")


def test_a_blob_that_was_mounted_survives_the_delete_of_its_source(
    repository: Repository, elsewhere: Repository, pusher: Repository, layer: bytes
) -> None:
    elsewhere.image(layer, tag="1")
    assert pusher.mount(digest(layer), elsewhere.name).status_code == 201
    assert pending(elsewhere.delete("1")) == len(layer)
    pushed = use(pusher, layer, "2")
    assert pusher.pulled("2") == pushed
    assert pusher.read(digest(layer)).content == layer


def test_a_blob_that_was_uploaded_again_survives_the_delete_of_its_last_tag(
    repository: Repository, pusher: Repository, other: httpx.Client, layer: bytes
) -> None:
    repository.image(layer, tag="1")
    upload(pusher, layer)
    repository.seen_by(other).delete("1")
    use(pusher, layer, "2")
    assert pusher.read(digest(layer)).content == layer


def test_a_child_that_was_pushed_waits_for_its_index(
    repository: Repository, pusher: Repository, other: httpx.Client, layer: bytes
) -> None:
    """It also has a tag, which somebody deletes before the index comes."""
    child = pusher.image(layer)
    repository.seen_by(other).manifest(pusher.pushed[child], "1")
    repository.seen_by(other).delete("1")
    index = pusher.index(child, tag="2")
    assert pusher.pulled("2") == index
    assert pusher.pulled(child) == child
    assert pusher.read(digest(layer)).content == layer


def test_a_manifest_that_a_pusher_was_told_of_survives_until_its_index(
    repository: Repository, pusher: Repository, other: httpx.Client, layer: bytes
) -> None:
    child = repository.image(layer, tag="1")
    assert pusher.head(child).status_code == 200
    repository.seen_by(other).delete("1")
    assert pusher.index(child, tag="2")
    assert pusher.pulled(child) == child


def test_two_pushes_of_one_client_are_promised_twice(
    repository: Repository, pusher: Repository, other: httpx.Client, layer: bytes
) -> None:
    """The first manifest takes back one promise only, so the second push is safe."""
    repository.image(layer, tag="1")
    for _ in range(2):
        assert pusher.ask(digest(layer)).status_code == 200
    use(pusher, layer, "2")
    for tag in ("1", "2"):
        repository.seen_by(other).delete(tag)
    use(pusher, layer, "3")
    assert pusher.read(digest(layer)).content == layer


def test_pushes_of_two_clients_do_not_take_each_others_promises(
    door: Running, repository: Repository, pusher: Repository, other: httpx.Client, layer: bytes
) -> None:
    repository.image(layer, tag="1")
    assert pusher.ask(digest(layer)).status_code == 200
    theirs = repository.seen_by(other)
    assert theirs.ask(digest(layer)).status_code == 200
    use(theirs, layer, "2")
    for tag in ("1", "2"):
        theirs.delete(tag)
    use(pusher, layer, "3")
    assert pending(pusher.delete("3")) == 0
    assert files(door, digest(layer)) == []


def test_who_only_reads_is_promised_nothing(door: Running, repository: Repository, layer: bytes, newcomer: str) -> None:
    repository.image(layer, tag="1")
    with connect_as(door, newcomer, "pull") as reader:
        theirs = repository.seen_by(reader)
        assert theirs.ask(digest(layer)).status_code == theirs.head("1").status_code == 200
        assert theirs.read(digest(layer)).status_code == 200
        assert pending(repository.delete("1")) == 0
        assert files(door, digest(layer)) == []
        assert theirs.ask(digest(layer)).status_code == 404


def test_a_pusher_that_pulls_is_promised_nothing(
    door: Running, repository: Repository, pusher: Repository, layer: bytes
) -> None:
    pushed = repository.image(layer, tag="1")
    for reference in ("1", pushed):
        assert pusher.get(reference).status_code == 200
    assert pusher.read(digest(layer), Range="bytes=0-9").status_code == 206
    assert pending(repository.delete("1")) == 0
    assert files(door, digest(layer)) == []


def test_a_question_about_what_is_not_there_promises_nothing(
    door: Running, repository: Repository, pusher: Repository, layer: bytes
) -> None:
    assert pusher.ask(digest(layer)).status_code == 404
    repository.image(layer, tag="1")
    assert pending(repository.delete("1")) == 0
    assert files(door, digest(layer)) == []


def test_a_deleted_promise_is_none(repository: Repository, pusher: Repository, layer: bytes) -> None:
    repository.image(layer, tag="1")
    pusher.ask(digest(layer))
    repository.delete("1")
    assert pusher.delete_blob(digest(layer)).headers["Pier-Freed-Bytes"] == str(len(layer))
    assert pusher.ask(digest(layer)).status_code == 404


def test_an_old_docker_that_was_told_an_image_exists_can_tag_it_after_a_delete(
    door: Running, name: str, other: httpx.Client
) -> None:
    with door.client(headers={"User-Agent": OLD_DOCKER}) as docker:
        top = pushed_over_v1(docker, name, "1")[0]
        docker.put(f"/v1/repositories/{name}/", json=[{"id": top.id, "Tag": "2"}])
        assert docker.get(f"/v1/images/{top.id}/json").status_code == 200
        assert other.delete(f"/v1/repositories/{name}/tags/1").status_code == 200
        assert docker.put(f"/v1/repositories/{name}/tags/2", json=top.id).status_code == 200
        assert docker.put(f"/v1/repositories/{name}/images", json=[]).status_code == 204
        assert docker.get(f"/v1/images/{top.id}/layer").content == top.layer


def test_a_push_beside_endless_deletes_never_fails(
    door: Running, repository: Repository, pusher: Repository, other: httpx.Client, layer: bytes
) -> None:
    """The same layer comes and goes all the time; every push that was told so may rely on it."""
    pushed, over = threading.Event(), threading.Event()
    theirs = repository.seen_by(other)

    def delete() -> None:
        while not over.is_set():
            if pushed.wait(0.05):
                pushed.clear()
                theirs.delete("1")

    deleting = threading.Thread(target=delete)
    deleting.start()
    try:
        for _ in range(40):
            if pusher.ask(digest(layer)).status_code == 404:
                upload(pusher, layer)
            use(pusher, layer, "1")
            pushed.set()
    finally:
        over.set()
        deleting.join()
    theirs.delete("1")
    assert files(door, digest(layer)) == []


def test_after_all_this_every_count_is_right(door: Running) -> None:
    places.sound(door)
