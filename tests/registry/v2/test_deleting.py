"""A delete gives the disk back before it answers, and takes nothing that somebody still holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import httpx
import pytest

from tests.parts.registry import Running
from tests.registry.v2 import documents, places
from tests.registry.v2.answers import CONTAINERD, CRANE, DOCKER, connect, connect_as, files, refusal
from tests.registry.v2.documents import EMPTY, digest, noise
from tests.registry.v2.pushing import Repository, size

pytestmark = places.on_both_databases

MIB: Final = 1 << 20
Push = Callable[[Repository, bytes], None]


def freed(answer: httpx.Response) -> tuple[int, int]:
    """Bytes that are back, and bytes that follow."""
    assert (answer.status_code, answer.content) == (202, b""), answer.text
    return int(answer.headers["Pier-Freed-Bytes"]), int(answer.headers["Pier-Pending-Bytes"])


def used(running: Running) -> int:
    """Bytes on the disk, as `du` counts them."""
    return sum(path.stat().st_blocks * 512 for path in (running.data / "layers").rglob("*") if path.is_file())


def as_docker_pushes(repository: Repository, data: bytes) -> None:
    """It asks, streams without a length, and asks again whether it was taken."""
    assert repository.ask(digest(data)).status_code == 404
    place = repository.begin()
    pieces = (data[at : at + 10_000] for at in range(0, len(data), 10_000))
    place = repository.append(place, pieces).headers["Location"]
    assert repository.finish(place, digest(data)).status_code == 201
    assert repository.ask(digest(data)).headers["Content-Length"] == str(len(data))


def as_containerd_pushes(repository: Repository, data: bytes) -> None:
    """It asks, and sends the whole in the last request."""
    assert repository.ask(digest(data)).status_code == 404
    assert repository.finish(repository.begin(), digest(data), data).status_code == 201


def as_crane_pushes(repository: Repository, data: bytes) -> None:
    assert repository.ask(digest(data)).status_code == 404
    repository.blob(data)


CLIENTS: Final[dict[str, Push]] = {DOCKER: as_docker_pushes, CONTAINERD: as_containerd_pushes, CRANE: as_crane_pushes}


@pytest.mark.parametrize("agent", CLIENTS, ids=["docker", "containerd", "crane"])
def test_after_the_delete_of_its_tag_nothing_of_an_image_is_left(door: Running, name: str, agent: str) -> None:
    layers = [noise(300_000), noise(200_000)]
    config = documents.config(*layers)
    with connect(door, agent=agent) as client:
        repository = Repository(client, name)
        for data in (*layers, config):
            CLIENTS[agent](repository, data)
        pushed = repository.manifest(documents.image(*layers, config=config), "1")
        everything = [digest(data) for data in (*layers, config)]
        before = used(door)
        assert len(files(door, *everything)) == 3
        answer = repository.delete("1")
        left, after = files(door, *everything), used(door)
        assert freed(answer) == (size(*layers, config), 0)
        assert left == []
        assert abs(before - after - size(*layers, config)) <= 3 * 4096
        for reference in ("1", pushed):
            assert refusal(repository.get(reference))[0] == 404
        for each in everything:
            assert refusal(repository.read(each)) == (404, "BLOB_UNKNOWN")


@pytest.mark.parametrize("agent", [DOCKER, CONTAINERD], ids=["docker", "containerd"])
def test_an_image_that_was_pushed_again_is_freed_as_well(door: Running, name: str, agent: str) -> None:
    """The second push asks for every blob, is told that it is there, and sends only the manifest."""
    layer = noise()
    with connect(door, agent=agent) as client:
        repository = Repository(client, name)
        pushed = repository.image(layer, tag="1")
        for blob in repository.pushed:
            if blob != pushed:
                assert repository.ask(blob).status_code == 200
        repository.manifest(repository.pushed[pushed], "1")
        assert freed(repository.delete("1"))[1] == 0
        assert files(door, digest(layer)) == []


def test_a_manifest_stays_until_its_last_tag_is_deleted(door: Running, repository: Repository) -> None:
    layer = noise()
    pushed = repository.image(layer, tag="1")
    repository.manifest(repository.pushed[pushed], "2")
    assert freed(repository.delete("1")) == (0, 0)
    assert repository.tags() == ["2"]
    assert repository.pulled("2") == repository.pulled(pushed) == pushed
    assert repository.read(digest(layer)).content == layer
    assert freed(repository.delete("2"))[0] > len(layer)
    assert not repository.knows(pushed)
    assert files(door, digest(layer)) == []


def test_a_layer_stays_while_another_repository_holds_it(
    door: Running, repository: Repository, elsewhere: Repository
) -> None:
    layer = noise()
    repository.image(layer, tag="1")
    other = elsewhere.image(layer, tag="1")
    repository.delete("1")
    assert elsewhere.pulled("1") == other
    assert elsewhere.read(digest(layer)).content == layer
    assert not repository.holds(digest(layer))
    elsewhere.delete("1")
    assert files(door, digest(layer)) == []


def test_a_moved_tag_frees_the_old_top_and_keeps_the_base_that_both_share(
    door: Running, repository: Repository
) -> None:
    base, old, new = noise(), noise(), noise()
    before = repository.image(base, old, tag="1")
    repository.image(base, new, tag="1")
    assert files(door, digest(old)) == []
    assert not repository.knows(before)
    assert repository.read(digest(base)).content == base
    assert repository.read(digest(new)).content == new


def test_a_moved_tag_says_what_it_freed(door: Running, repository: Repository) -> None:
    old, config = noise(3 * MIB), documents.config()
    repository.image(old, config=config, tag="1")
    new = noise()
    for data in (new, config):
        repository.blob(data)
    before = used(door)
    answer = repository.put(documents.image(new, config=config), "1")
    assert answer.status_code == 201
    assert int(answer.headers["Pier-Freed-Bytes"]) == len(old)
    assert abs(before - used(door) - len(old)) <= 4096


def test_a_delete_by_digest_takes_all_tags_of_the_manifest(door: Running, repository: Repository) -> None:
    layer = noise()
    pushed = repository.image(layer, tag="1")
    for tag in ("2", "3"):
        repository.manifest(repository.pushed[pushed], tag)
    kept = repository.image(noise(), tag="4")
    assert freed(repository.delete(pushed))[0] > len(layer)
    assert repository.tags() == ["4"]
    assert repository.pulled("4") == kept
    for reference in ("1", "2", "3", pushed):
        assert refusal(repository.get(reference)) == (404, "MANIFEST_UNKNOWN")
    assert files(door, digest(layer)) == []


def test_a_delete_by_digest_leaves_the_same_manifest_elsewhere(repository: Repository, elsewhere: Repository) -> None:
    layer = noise()
    pushed = repository.image(layer, tag="1")
    config = next(data for name, data in repository.pushed.items() if name not in {pushed, digest(layer)})
    assert elsewhere.image(layer, config=config, tag="1") == pushed
    repository.delete(pushed)
    assert elsewhere.pulled("1") == pushed
    assert elsewhere.holds(digest(layer))


def test_a_child_of_a_live_index_is_not_deleted(repository: Repository) -> None:
    child = repository.image(noise())
    repository.index(child, tag="1")
    answer = repository.delete(child)
    assert refusal(answer) == (405, "UNSUPPORTED")
    assert repository.pulled(child) == child
    repository.delete("1")


def test_a_child_can_be_deleted_once_its_index_is_gone(repository: Repository) -> None:
    child = repository.image(noise(), tag="child")
    repository.index(child, tag="1")
    assert repository.delete(child).status_code == 405
    assert repository.tags() == ["1", "child"]
    repository.delete("1")
    assert repository.delete(child).status_code == 202
    assert not repository.knows(child)


def test_a_blob_that_a_manifest_needs_is_not_deleted(repository: Repository) -> None:
    layer = noise()
    repository.image(layer, tag="1")
    assert refusal(repository.delete_blob(digest(layer))) == (405, "UNSUPPORTED")
    assert repository.read(digest(layer)).content == layer


def test_a_blob_that_no_manifest_needs_is_deleted_at_once(door: Running, repository: Repository) -> None:
    layer = noise()
    repository.blob(layer)
    assert freed(repository.delete_blob(digest(layer))) == (len(layer), 0)
    assert files(door, digest(layer)) == []
    assert repository.ask(digest(layer)).status_code == 404
    assert refusal(repository.delete_blob(digest(layer))) == (404, "BLOB_UNKNOWN")


def test_a_blob_that_is_deleted_here_stays_where_a_manifest_needs_it(
    repository: Repository, elsewhere: Repository
) -> None:
    layer = noise()
    elsewhere.image(layer, tag="1")
    repository.mount(digest(layer), elsewhere.name)
    assert freed(repository.delete_blob(digest(layer))) == (0, 0)
    assert repository.ask(digest(layer)).status_code == 404
    assert elsewhere.read(digest(layer)).content == layer


def test_a_blob_that_was_promised_to_somebody_else_is_not_deleted(
    door: Running, repository: Repository, newcomer: str
) -> None:
    layer = noise()
    repository.blob(layer)
    with connect_as(door, newcomer, "push") as other:
        theirs = repository.seen_by(other)
        theirs.blob(layer)
        assert refusal(repository.delete_blob(digest(layer))) == (405, "UNSUPPORTED")
        assert theirs.holds(digest(layer))


def test_deleting_twice_is_not_found_and_counts_once(
    door: Running, repository: Repository, state: Callable[[], str]
) -> None:
    pushed = repository.image(noise(), tag="1")
    kept = repository.image(noise(), tag="2")
    assert repository.delete("1").status_code == 202
    before = state()
    for reference in ("1", pushed, "unknown", digest(b"unknown")):
        assert refusal(repository.delete(reference)) == (404, "MANIFEST_UNKNOWN")
    assert state() == before
    assert repository.pulled("2") == kept


def test_nothing_can_be_deleted_where_nothing_is(repository: Repository) -> None:
    for reference in ("1", digest(b"unknown")):
        answer = repository.delete(reference)
        assert refusal(answer)[0] == 404
        assert refusal(answer)[1] in {"NAME_UNKNOWN", "MANIFEST_UNKNOWN"}
    assert refusal(repository.delete_blob(digest(b"unknown"))) == (404, "BLOB_UNKNOWN")


def test_a_manifest_without_a_tag_can_be_deleted_by_its_digest(door: Running, repository: Repository) -> None:
    layer = noise()
    pushed = repository.image(layer)
    assert freed(repository.delete(pushed))[0] > len(layer)
    assert files(door, digest(layer)) == []
    assert not repository.knows(pushed)


def test_what_was_deleted_can_be_pushed_again(repository: Repository) -> None:
    layer, config = noise(), documents.config()
    for _ in range(5):
        pushed = repository.image(layer, config=config, tag="1")
        assert repository.pulled("1") == pushed
        assert repository.read(digest(layer)).content == layer
        assert freed(repository.delete("1")) == (size(layer, config), 0)


def test_the_well_known_empty_blob_comes_and_goes(door: Running, repository: Repository) -> None:
    for number in range(10):
        repository.blob(EMPTY)
        repository.manifest(documents.image(annotations={"number": str(number)}), "1")
        assert repository.read(digest(EMPTY)).content == EMPTY
        repository.delete("1")
        assert not repository.holds(digest(EMPTY))


def test_the_preview_foretells_the_delete(repository: Repository) -> None:
    base = noise()
    repository.image(base, noise(), tag="1")
    repository.image(base, noise(), tag="2")
    foretold = repository.http.get(f"/api/repositories/{repository.name}/tags/1/reclaim").json()
    assert freed(repository.delete("1")) == (foretold["freed_bytes"], foretold["pending_bytes"])


def test_who_may_push_may_delete_and_who_may_pull_may_not(door: Running, repository: Repository, newcomer: str) -> None:
    layer = noise()
    pushed = repository.image(layer, tag="1")
    with connect_as(door, f"{newcomer}-reader", "pull") as reader:
        theirs = repository.seen_by(reader)
        for answer in (theirs.delete("1"), theirs.delete(pushed), theirs.delete_blob(digest(layer))):
            assert refusal(answer) == (403, "DENIED")
    with connect_as(door, newcomer, "push") as pusher:
        assert repository.seen_by(pusher).delete("1").status_code == 202


def test_a_delete_over_v2_is_seen_by_the_json_api(repository: Repository) -> None:
    repository.image(noise(), tag="1")
    path = f"/api/repositories/{repository.name}/tags"
    assert [each["tag"] for each in repository.http.get(path).json()["tags"]] == ["1"]
    repository.delete("1")
    assert repository.http.get(path).status_code == 404


def test_after_all_this_every_count_is_right(door: Running) -> None:
    places.sound(door)
