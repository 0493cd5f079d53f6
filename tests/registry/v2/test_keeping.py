"""PIER_UNTAGGED_GRACE keeps a manifest whose last tag moved away, for those who deploy by digest; not a deleted one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.parts.registry import Running
from tests.registry.v2 import places
from tests.registry.v2.answers import connect, connect_as, files
from tests.registry.v2.documents import digest, noise
from tests.registry.v2.pushing import Repository


@pytest.fixture(scope="module", params=places.DATABASES)
def patient(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Three seconds. The time-out of uploads is short only because it sets how often anything is looked at."""
    often = {"untagged_grace": "3s", "upload_timeout": "4s"}
    with places.own(request, tmp_path_factory.mktemp("pier"), request.param, **often) as running:
        yield running


@pytest.fixture
def repository(patient: Running, name: str) -> Iterator[Repository]:
    with connect(patient) as client:
        yield Repository(client, name)


def test_a_manifest_that_lost_its_tag_can_be_pulled_by_digest_for_a_while(
    patient: Running, repository: Repository
) -> None:
    layer = noise()
    old = repository.image(layer, tag="1")
    new = repository.image(noise(), tag="1")
    assert repository.pulled(old) == old
    assert repository.read(digest(layer)).content == layer
    assert repository.pulled("1") == new
    places.until(lambda: not repository.knows(old), "the old manifest is gone")
    places.until(lambda: files(patient, digest(layer)) == [], "its layer is gone")
    assert repository.pulled("1") == new


def test_anybody_who_may_pull_can_pull_it(patient: Running, repository: Repository, newcomer: str) -> None:
    layer = noise()
    old = repository.image(layer, tag="1")
    repository.image(noise(), tag="1")
    with connect_as(patient, newcomer, "pull") as reader:
        theirs = repository.seen_by(reader)
        assert theirs.pulled(old) == old
        assert theirs.read(digest(layer)).content == layer


def test_a_deleted_tag_is_no_moved_one(patient: Running, repository: Repository) -> None:
    layer = noise()
    old = repository.image(layer, tag="1")
    assert repository.delete("1").headers["Pier-Pending-Bytes"] == "0"
    assert not repository.knows(old)
    assert files(patient, digest(layer)) == []


def test_a_manifest_that_waits_can_be_deleted(patient: Running, repository: Repository) -> None:
    layer = noise()
    old = repository.image(layer, tag="1")
    repository.image(noise(), tag="1")
    assert repository.delete(old).status_code == 202
    assert files(patient, digest(layer)) == []


def test_a_manifest_that_waits_can_get_a_tag_again_and_stays(patient: Running, repository: Repository) -> None:
    layer = noise()
    old = repository.image(layer, tag="1")
    other = repository.image(noise(), tag="1")
    repository.manifest(repository.pushed[old], "1")
    places.until(lambda: not repository.knows(other), "the other manifest is gone")
    assert repository.pulled("1") == old
    assert repository.read(digest(layer)).content == layer


def test_after_all_this_every_count_is_right(patient: Running) -> None:
    places.sound(patient)
