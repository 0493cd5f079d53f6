"""Many clients at one thing at the same time: each gets a true answer, and everything is counted once."""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Final

import httpx

from tests.parts.registry import Running
from tests.registry.protocol.doors import Raw, basic
from tests.registry.v2 import documents, places
from tests.registry.v2.answers import connect, files
from tests.registry.v2.crowd import together
from tests.registry.v2.documents import digest, noise
from tests.registry.v2.pushing import Repository

pytestmark = places.on_both_databases

MIB: Final = 1 << 20


def test_eight_clients_that_upload_one_blob_at_once_leave_one_file(door: Running, repository: Repository) -> None:
    data = noise(MIB)

    def upload(client: httpx.Client, _number: int) -> str:
        return repository.seen_by(client).blob(data)

    assert set(together(door, 8, upload)) == {digest(data)}
    assert len(files(door, digest(data))) == 1

    def use(client: httpx.Client, number: int) -> str:
        """Each with the promise that its own upload got."""
        return repository.seen_by(client).manifest(documents.image(data, config=data), f"{number}")

    together(door, 8, use)
    assert len(repository.tags()) == 8
    (pushed,) = {repository.pulled(tag) for tag in repository.tags()}
    assert repository.read(digest(data)).content == data
    answer = repository.delete(pushed)
    assert (answer.status_code, answer.headers["Pier-Freed-Bytes"]) == (202, str(MIB))
    assert files(door, digest(data)) == []


def test_eight_clients_that_mount_one_blob_at_once_all_have_it(
    door: Running, repository: Repository, elsewhere: Repository
) -> None:
    layer = noise()
    elsewhere.image(layer, tag="1")

    def mount(client: httpx.Client, number: int) -> int:
        return Repository(client, f"{repository.name}-{number}").mount(digest(layer), elsewhere.name).status_code

    assert together(door, 8, mount) == [201] * 8


def test_eight_clients_that_push_one_manifest_at_once_all_succeed(door: Running, repository: Repository) -> None:
    layer = noise()
    pushed = repository.image(layer, tag="first")

    def push(client: httpx.Client, number: int) -> str:
        return repository.seen_by(client).manifest(repository.pushed[pushed], f"{number % 4}")

    assert together(door, 8, push) == [pushed] * 8
    assert repository.tags() == ["0", "1", "2", "3", "first"]
    assert repository.delete(pushed).headers["Pier-Pending-Bytes"] == "0"
    assert files(door, digest(layer)) == []


def test_eight_clients_that_push_the_first_image_of_a_repository_make_one(
    door: Running, repository: Repository
) -> None:
    layers = [noise() for _ in range(8)]

    def push(client: httpx.Client, number: int) -> str:
        return repository.seen_by(client).image(layers[number], tag=f"{number}")

    pushed = together(door, 8, push)
    assert [repository.pulled(f"{number}") for number in range(8)] == pushed


def test_a_tag_that_many_clients_move_ends_at_one_of_theirs_and_the_rest_is_freed(
    door: Running, repository: Repository
) -> None:
    layers = [noise() for _ in range(8)]
    base = noise()
    repository.image(base, tag="kept")

    def push(client: httpx.Client, number: int) -> list[str]:
        theirs = repository.seen_by(client)
        return [theirs.image(base, layers[number], tag="1") for _ in range(3)]

    pushed = together(door, 8, push)
    last = repository.pulled("1")
    assert last in {each[-1] for each in pushed}
    winner = next(number for number, each in enumerate(pushed) if last in each)
    assert [bool(files(door, digest(layer))) for layer in layers] == [number == winner for number in range(8)]
    repository.delete("1")
    assert repository.read(digest(base)).content == base


def test_of_many_deletes_of_one_tag_one_succeeds(door: Running, repository: Repository) -> None:
    for _ in range(3):
        layer = noise()
        repository.image(layer, tag="1")
        repository.image(layer, noise(), tag="2")

        def delete(client: httpx.Client, _number: int) -> int:
            return repository.seen_by(client).delete("1").status_code

        assert Counter(together(door, 6, delete)) == {202: 1, 404: 5}
        assert repository.read(digest(layer)).content == layer
        repository.delete("2")
        assert files(door, digest(layer)) == []


def test_deletes_of_all_tags_at_once_leave_nothing(door: Running, repository: Repository) -> None:
    base, tops = noise(), [noise() for _ in range(8)]
    for number, top in enumerate(tops):
        repository.image(base, top, tag=f"{number}")

    def delete(client: httpx.Client, number: int) -> int:
        return repository.seen_by(client).delete(f"{number}").status_code

    assert together(door, 8, delete) == [202] * 8
    assert files(door, digest(base), *map(digest, tops)) == []


def test_a_push_and_a_delete_of_one_image_at_once_end_in_one_or_the_other(
    door: Running, repository: Repository
) -> None:
    """Never a tag whose layer is missing, never a push that fails."""
    layer, config = noise(), documents.config()
    for _ in range(10):
        repository.image(layer, config=config, tag="1")

        def act(client: httpx.Client, number: int) -> object:
            theirs = repository.seen_by(client)
            return theirs.image(layer, config=config, tag="1") if number else theirs.delete("1").status_code

        together(door, 2, act)
        if repository.knows("1"):
            assert repository.read(digest(layer)).content == layer
            assert repository.delete("1").status_code == 202
        assert files(door, digest(layer)) == []


def test_a_blob_that_comes_while_another_upload_of_it_breaks_off_is_whole(
    door: Running, repository: Repository
) -> None:
    data = noise(2 * MIB)
    broken = repository.begin()
    with Raw(door) as wire:
        wire.say(f"PUT {broken}?digest={digest(data)} HTTP/1.1\r\nHost: localhost\r\n", basic(door))
        wire.say(f"Content-Length: {len(data)}\r\n\r\n", data[:MIB])
        repository.blob(data)
    assert repository.read(digest(data)).content == data
    assert len(files(door, digest(data))) == 1


def _slowly(client: httpx.Client, path: str) -> Iterator[bytes]:
    with client.stream("GET", path) as answer:
        assert answer.status_code == 200
        yield from answer.iter_raw(65_536)


def test_a_running_pull_ends_well_though_its_tag_is_deleted(door: Running, repository: Repository) -> None:
    layer = noise(64 * MIB)
    repository.image(layer, tag="1")
    pieces = _slowly(repository.http, repository.path(f"blobs/{digest(layer)}"))
    found = hashlib.sha256(next(pieces))
    with connect(door) as other:
        assert repository.seen_by(other).delete("1").status_code == 202
    assert files(door, digest(layer)) == []
    for piece in pieces:
        found.update(piece)
    assert f"sha256:{found.hexdigest()}" == digest(layer)


def test_all_running_pulls_end_well_though_their_tag_is_deleted(door: Running, repository: Repository) -> None:
    layer = noise(8 * MIB)
    repository.image(layer, tag="1")
    path, all_running = repository.path(f"blobs/{digest(layer)}"), threading.Barrier(16)

    def pull(client: httpx.Client, number: int) -> str:
        pieces = _slowly(client, path)
        found = hashlib.sha256(next(pieces))
        all_running.wait(60)
        if number == 0:
            assert repository.delete("1").status_code == 202
        for piece in pieces:
            found.update(piece)
        return f"sha256:{found.hexdigest()}"

    assert set(together(door, 16, pull)) == {digest(layer)}
    assert files(door, digest(layer)) == []


def test_after_all_this_every_count_is_right(door: Running) -> None:
    places.sound(door)
