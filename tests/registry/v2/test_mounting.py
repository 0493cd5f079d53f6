"""A blob that is elsewhere need not be sent again, if the client may see it there; and nobody learns what is hidden."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.parts.registry import Running
from tests.registry.v2 import documents
from tests.registry.v2.answers import connect_as, refusal
from tests.registry.v2.documents import digest, noise
from tests.registry.v2.pushing import Repository

UNKNOWN = digest(b"never pushed")


def mounted(answer: httpx.Response, repository: Repository, name: str) -> bool:
    return (
        answer.status_code == 201
        and answer.headers["Location"] == repository.path(f"blobs/{name}")
        and answer.headers["Docker-Content-Digest"] == name
        and answer.headers["Content-Length"] == "0"
    )


def an_upload_instead(answer: httpx.Response, repository: Repository, data: bytes) -> bool:
    """An ordinary upload that works."""
    place = answer.headers.get("Location", "")
    return (
        answer.status_code == 202
        and place.startswith(repository.path("blobs/uploads/"))
        and "Docker-Content-Digest" not in answer.headers
        and repository.finish(place, digest(data), data).status_code == 201
    )


@pytest.fixture
def layer() -> bytes:
    return noise()


@pytest.fixture
def other(door: Running, newcomer: str) -> Iterator[httpx.Client]:
    """Somebody else, who may push everywhere."""
    with connect_as(door, newcomer, "push") as client:
        yield client


@pytest.fixture
def source(elsewhere: Repository, layer: bytes) -> Repository:
    """A repository that holds the layer."""
    elsewhere.image(layer, tag="1")
    return elsewhere


def test_a_blob_of_another_repository_is_mounted(repository: Repository, source: Repository, layer: bytes) -> None:
    assert mounted(repository.mount(digest(layer), source.name), repository, digest(layer))
    assert repository.read(digest(layer)).content == layer
    assert repository.ask(digest(layer)).status_code == 200


def test_a_mounted_blob_can_be_used_in_a_manifest(repository: Repository, source: Repository, layer: bytes) -> None:
    repository.mount(digest(layer), source.name)
    repository.blob(documents.EMPTY)
    pushed = repository.manifest(documents.image(layer), "1")
    assert repository.pulled("1") == pushed


def test_a_repository_without_the_blob_gives_an_upload(
    repository: Repository, elsewhere: Repository, layer: bytes
) -> None:
    elsewhere.image(noise(), tag="1")
    assert an_upload_instead(repository.mount(digest(layer), elsewhere.name), repository, layer)


def test_an_unknown_repository_gives_an_upload(repository: Repository, layer: bytes) -> None:
    assert an_upload_instead(repository.mount(digest(layer), "nobody/knows"), repository, layer)


def test_without_a_source_a_blob_that_the_client_may_see_is_mounted(
    repository: Repository, source: Repository, layer: bytes
) -> None:
    assert mounted(repository.mount(digest(layer)), repository, digest(layer))
    assert repository.read(digest(layer)).content == layer


def test_without_a_source_an_unknown_blob_gives_an_upload(repository: Repository, layer: bytes) -> None:
    assert an_upload_instead(repository.mount(digest(layer)), repository, layer)


def test_a_blob_that_one_pushed_but_that_no_manifest_holds_can_be_mounted_by_its_pusher(
    repository: Repository, elsewhere: Repository, layer: bytes
) -> None:
    elsewhere.blob(layer)
    assert mounted(repository.mount(digest(layer), elsewhere.name), repository, digest(layer))


@pytest.mark.parametrize("named", [True, False], ids=["from it", "from anywhere"])
def test_a_blob_that_was_only_promised_to_somebody_else_gives_an_upload(
    repository: Repository, elsewhere: Repository, other: httpx.Client, layer: bytes, named: bool
) -> None:
    elsewhere.seen_by(other).blob(layer)
    answer = repository.mount(digest(layer), elsewhere.name if named else None)
    assert an_upload_instead(answer, repository, layer)


@pytest.mark.parametrize("named", [True, False], ids=["from it", "from anywhere"])
def test_a_blob_of_a_repository_that_the_client_may_not_read_gives_an_upload(
    door: Running, source: Repository, layer: bytes, newcomer: str, named: bool
) -> None:
    """As for a blob that is nowhere, so nobody learns that it is somewhere."""
    with connect_as(door, newcomer, "push", f"{newcomer}/*") as outsider:
        repository = Repository(outsider, f"{newcomer}/app")
        refused = repository.mount(digest(layer), source.name if named else None)
        nowhere = repository.mount(UNKNOWN, source.name if named else None)
        assert refused.status_code == nowhere.status_code == 202
        assert set(refused.headers) == set(nowhere.headers)
        assert not repository.holds(digest(layer))
        assert an_upload_instead(refused, repository, layer)


def test_mounting_needs_the_right_to_push(door: Running, source: Repository, layer: bytes, newcomer: str) -> None:
    with connect_as(door, newcomer, "pull") as reader:
        answer = Repository(reader, source.name).mount(digest(layer), source.name)
        assert refusal(answer) == (403, "DENIED")


def test_a_mount_may_carry_what_crane_adds(repository: Repository, source: Repository, layer: bytes) -> None:
    query = {"mount": digest(layer), "from": source.name, "origin": "registry.example"}
    assert mounted(repository.http.post(repository.path("blobs/uploads/"), params=query), repository, digest(layer))


@pytest.mark.parametrize("wrong", ["", "x", "sha256:x", "md5:" + "0" * 32])
def test_what_is_no_digest_cannot_be_mounted(repository: Repository, source: Repository, wrong: str) -> None:
    assert repository.mount(wrong, source.name).status_code in {202, 400}


@pytest.mark.parametrize("wrong", ["A", "a//b", "../x", "", "x" * 500])
def test_a_source_that_is_no_name_is_as_good_as_none_that_is_known(
    repository: Repository, layer: bytes, wrong: str
) -> None:
    assert repository.mount(digest(layer), wrong).status_code in {202, 400}


def test_a_blob_of_another_repository_is_not_there_for_reading(
    repository: Repository, source: Repository, layer: bytes
) -> None:
    assert refusal(repository.read(digest(layer))) == (404, "BLOB_UNKNOWN")
    assert repository.ask(digest(layer)).status_code == 404
    assert refusal(repository.delete_blob(digest(layer))) == (404, "BLOB_UNKNOWN")
    assert source.read(digest(layer)).content == layer


def test_a_blob_that_no_manifest_holds_is_there_for_its_pusher_only(
    repository: Repository, other: httpx.Client, layer: bytes
) -> None:
    repository.blob(layer)
    assert repository.holds(digest(layer))
    theirs = repository.seen_by(other)
    assert refusal(theirs.read(digest(layer))) == (404, "BLOB_UNKNOWN")
    assert theirs.ask(digest(layer)).status_code == 404
    repository.blob(documents.EMPTY)
    repository.manifest(documents.image(layer), "1")
    assert theirs.read(digest(layer)).content == layer


def test_a_blob_that_was_mounted_is_there_for_who_mounted_it_only(
    repository: Repository, source: Repository, other: httpx.Client, layer: bytes
) -> None:
    repository.mount(digest(layer), source.name)
    assert refusal(repository.seen_by(other).read(digest(layer))) == (404, "BLOB_UNKNOWN")


def test_nobody_can_use_a_blob_of_another_repository_in_a_manifest(
    repository: Repository, source: Repository, layer: bytes
) -> None:
    repository.blob(documents.EMPTY)
    assert refusal(repository.put(documents.image(layer), "1")) == (400, "MANIFEST_BLOB_UNKNOWN")
