"""A disk that is full, or cannot be written, in the middle of a push: said clearly, and nothing is half there."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx
import pytest

from tests.parts.registry import Running
from tests.registry.v2 import documents, places
from tests.registry.v2.answers import listed
from tests.registry.v2.documents import EMPTY, digest, noise
from tests.registry.v2.pushing import Repository

MIB: Final = 1 << 20
VOLUME: Final = 96 * MIB


@contextmanager
def mounted(*arguments: str | Path) -> Iterator[None]:
    subprocess.run(["mount", *arguments], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", arguments[-1]], check=True)


@pytest.fixture(scope="module", params=places.DATABASES)
def small(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A registry on a volume of 96 MiB; the database lies there too if it is SQLite."""
    folder = tmp_path_factory.mktemp("pier")
    data = folder / "data"
    data.mkdir()
    with (
        mounted("-t", "tmpfs", "-o", f"size={VOLUME},mode=0700", "tmpfs", data),
        places.own(request, folder, request.param, min_free="2M") as running,
    ):
        yield running


@pytest.fixture
def repository(small: Running, name: str) -> Iterator[Repository]:
    """Its room is given back. Refusals are looked at one by one: here they may be the registry's fault."""
    with small.client() as client:
        made = Repository(client, name)
        yield made
        for tag in made.tags():
            made.delete(tag)


def full(answer: httpx.Response) -> bool:
    """Whether it says so as v2 clients read it."""
    assert answer.headers["Docker-Distribution-Api-Version"] == "registry/2.0"
    codes = {each["code"] for each in listed(answer)}
    return answer.status_code in {503, 507} and codes == {"UNAVAILABLE"}


def kept_whole(running: Running, repository: Repository, layer: bytes) -> None:
    """The image under tag 1 is all there, and everything is counted right."""
    assert repository.pulled("1")
    assert repository.read(digest(layer)).content == layer
    places.sound(running)


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("step", ["append", "finish", "whole"])
def test_a_blob_that_does_not_fit_is_refused_and_leaves_room_for_others(
    small: Running, repository: Repository, step: str, framing: str
) -> None:
    layer, data = noise(MIB), noise(MIB) * 200
    repository.image(layer, tag="1")
    body = data if framing == "length" else (data[at : at + MIB] for at in range(0, len(data), MIB))
    place = repository.begin()
    if step == "whole":
        answer = repository.http.post(repository.path("blobs/uploads/"), params={"digest": digest(data)}, content=body)
    elif step == "append":
        answer = repository.append(place, body)
    else:
        answer = repository.http.put(place, params={"digest": digest(data)}, content=body)
    assert full(answer)
    assert not repository.holds(digest(data))
    assert repository.http.get(place).status_code in {204, 404}
    repository.http.delete(place)
    places.until(lambda: not list((small.data / "uploads").iterdir()), "what had come is removed")
    other = noise(20 * MIB)
    repository.image(other, tag="2")
    assert repository.read(digest(other)).content == other
    kept_whole(small, repository, layer)


def test_pieces_that_fill_the_disk_are_refused_before_the_reserve_is_gone(
    small: Running, repository: Repository
) -> None:
    layer, piece = noise(MIB), noise(8 * MIB)
    repository.image(layer, tag="1")
    place = repository.begin()
    answers: list[httpx.Response] = []
    while not answers or answers[-1].status_code == 202:
        assert len(answers) < 20
        answers.append(repository.append(place, piece))
    assert len(answers) > 3
    assert full(answers[-1])
    kept_whole(small, repository, layer)
    repository.http.delete(place)
    repository.image(piece, tag="2")


def test_a_delete_on_a_full_disk_works_and_makes_room(small: Running, repository: Repository) -> None:
    layer = noise(4 * MIB)
    repository.image(layer, tag="1")
    filler = small.data / "filler"
    with filler.open("wb", buffering=0) as file:
        for step in (MIB, 4096):
            try:
                while file.write(bytes(step)):
                    pass
            except OSError:
                continue
    assert full(repository.http.post(repository.path("blobs/uploads/")))
    answer = repository.delete("1")
    assert answer.status_code == 202
    assert int(answer.headers["Pier-Freed-Bytes"]) > len(layer)
    filler.unlink()
    repository.image(layer, tag="1")
    kept_whole(small, repository, layer)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """No new file can be made in it, and none removed."""
    with mounted("--bind", folder, folder):
        subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)
        yield


@pytest.mark.parametrize("folder", ["layers", "uploads"])
def test_an_upload_goes_on_when_the_disk_can_be_written_again(
    small: Running, repository: Repository, folder: str
) -> None:
    layer, data = noise(MIB), noise(2 * MIB)
    repository.image(layer, tag="1")
    repository.blob(EMPTY)
    place = repository.begin()
    assert repository.append(place, data[:MIB]).status_code == 202
    with read_only(small.data / folder):
        if folder == "uploads":
            assert full(repository.append(place, data[MIB:]))
        assert full(repository.finish(place, digest(data), b"" if folder == "uploads" else data[MIB:]))
        assert not repository.holds(digest(data))
        assert repository.read(digest(layer)).content == layer
        assert repository.put(documents.image(), "2").status_code == 201
    state = repository.http.get(place)
    if state.status_code == 404:
        repository.blob(data)
    else:
        at = int(state.headers["Range"].partition("-")[2]) + 1
        assert repository.append(place, data[at:]).status_code == 202
        assert repository.finish(place, digest(data)).status_code == 201
    repository.manifest(documents.image(data), "3")
    assert repository.read(digest(data)).content == data
    kept_whole(small, repository, layer)


def test_a_delete_on_a_read_only_disk_frees_the_files_later(small: Running, repository: Repository) -> None:
    layer = noise(MIB)
    repository.image(layer, tag="1")
    with read_only(small.data / "layers"):
        answer = repository.delete("1")
        assert answer.status_code == 202
        assert answer.headers["Pier-Freed-Bytes"] == "0"
        assert int(answer.headers["Pier-Pending-Bytes"]) > len(layer)
        assert not repository.knows("1")
    repository.image(layer, tag="1")
    kept_whole(small, repository, layer)
