"""Promises end by themselves, and a removal that comes late never hits the bytes that were pushed anew."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.parts.registry import Running
from tests.registry.v2 import documents, places
from tests.registry.v2.answers import CONTAINERD, connect, files
from tests.registry.v2.documents import digest, noise
from tests.registry.v2.pushing import Repository


@pytest.fixture(scope="module", params=places.DATABASES)
def hasty(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Keeps promises for three seconds."""
    with places.own(request, tmp_path_factory.mktemp("pier"), request.param, lease="3s") as running:
        yield running


@pytest.fixture
def repository(hasty: Running, name: str) -> Iterator[Repository]:
    with connect(hasty) as client:
        yield Repository(client, name)


def gone(running: Running, data: bytes) -> bool:
    return files(running, digest(data)) == []


def test_a_blob_that_was_promised_and_never_used_is_gone_with_the_promise(
    hasty: Running, repository: Repository
) -> None:
    layer = noise()
    repository.image(layer, tag="1")
    with connect(hasty, agent=CONTAINERD) as client:
        assert repository.seen_by(client).ask(digest(layer)).status_code == 200
    answer = repository.delete("1")
    assert answer.headers["Pier-Pending-Bytes"] == str(len(layer))
    assert not gone(hasty, layer)
    places.until(lambda: gone(hasty, layer), "the layer is gone with its promise")
    assert not repository.holds(digest(layer))


def test_a_blob_that_was_pushed_and_never_used_is_gone_with_its_promise(hasty: Running, repository: Repository) -> None:
    layer = noise()
    repository.blob(layer)
    places.until(lambda: gone(hasty, layer), "the layer is gone with its promise")
    assert repository.ask(digest(layer)).status_code == 404


def test_a_manifest_that_never_got_a_tag_is_gone_with_its_promise(hasty: Running, repository: Repository) -> None:
    layer = noise()
    pushed = repository.image(layer)
    assert repository.pulled(pushed) == pushed
    places.until(lambda: not repository.knows(pushed), "the manifest is gone with its promise")
    places.until(lambda: gone(hasty, layer), "its layer is gone")
    listed = repository.path("tags/list")
    places.until(lambda: repository.http.get(listed).status_code == 404, "the repository is gone")


def test_a_referrer_whose_subject_never_came_is_gone_with_its_promise(hasty: Running, repository: Repository) -> None:
    subject = documents.image(annotations={"never": "pushed"})
    layer = noise()
    repository.image(layer, subject=documents.pointer(subject))
    places.until(lambda: repository.referrers(digest(subject)) == [], "the referrer is gone with its promise")
    places.until(lambda: gone(hasty, layer), "its layer is gone")


def test_what_a_tag_holds_outlives_every_promise(hasty: Running, repository: Repository) -> None:
    layer, passing = noise(), noise()
    child = repository.image(layer)
    index = repository.index(child, tag="1")
    signature = repository.artifact("application/vnd.example.signature", noise(), subject=index)
    repository.blob(passing)
    places.until(lambda: gone(hasty, passing), "a promise of the same age is over")
    assert [repository.pulled(each) for each in ("1", child, signature)] == [index, child, signature]
    assert repository.read(digest(layer)).content == layer


def test_a_slow_push_renews_its_promises(hasty: Running, repository: Repository) -> None:
    """Each write to the repository does, so the first layer waits for the last one."""
    first, watched = noise(), noise()
    repository.blob(first)
    with connect(hasty, agent=CONTAINERD) as client:
        Repository(client, f"{repository.name}-watched").blob(watched)
    more = []
    while not gone(hasty, watched):
        more.append(noise(10))
        repository.blob(more[-1])
    pushed = repository.image(first, *more, tag="1")
    assert repository.pulled("1") == pushed


@contextmanager
def pinned(file: Path) -> Iterator[None]:
    """A file that cannot be removed, because it is mounted on itself."""
    subprocess.run(["mount", "--bind", file, file], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", file], check=True)


def test_bytes_pushed_anew_survive_the_late_removal_of_the_old(hasty: Running, repository: Repository) -> None:
    layer, config = noise(), documents.config()
    pushed = repository.image(layer, config=config, tag="1")
    (old,) = files(hasty, digest(layer))
    with pinned(old):
        answer = repository.delete("1")
        assert answer.status_code == 202
        assert answer.headers["Pier-Freed-Bytes"] == str(len(config))
        assert answer.headers["Pier-Pending-Bytes"] == str(len(layer))
        assert old.exists()
        assert not repository.holds(digest(layer))
        assert repository.image(layer, config=config, tag="1") == pushed
        assert len(files(hasty, digest(layer))) == 2
    places.removals_are_due(hasty)
    places.until(lambda: not old.exists(), "the old file is removed in the background")
    assert repository.pulled("1") == pushed
    assert repository.read(digest(layer)).content == layer
    assert len(files(hasty, digest(layer))) == 1


def test_after_all_this_every_count_is_right(hasty: Running) -> None:
    places.sound(hasty)
