"""Every address of v2, tried by everybody: what is not said here to be open is closed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import pytest

from tests.parts.registry import Running
from tests.registry.protocol.doors import DOORS, opened
from tests.registry.v2 import documents
from tests.registry.v2.answers import connect, connect_as, lawful, refusal
from tests.registry.v2.documents import OCI_IMAGE, digest, noise
from tests.registry.v2.pushing import Repository

# Of those who may push somewhere else: as if nothing were here, or not for them.
CLOSED: Final = {403, 404}


@dataclass(frozen=True, slots=True)
class Kept:
    """An image that nobody may change, under tag 1, and an upload that has begun."""

    repository: Repository
    manifest: str
    layer: bytes
    upload: str

    def routes(self) -> dict[str, str]:
        """Every request there is, by what it does; `GET` ones also as `HEAD`."""
        blob, path = digest(self.layer), self.repository.path
        reads = [
            path("tags/list"), path("manifests/1"), path(f"manifests/{self.manifest}"), path(f"blobs/{blob}"),
            path(f"referrers/{self.manifest}"),
        ]  # fmt: skip
        writes = [
            f"PUT {path('manifests/1')}", f"PUT {path(f'manifests/{digest(documents.index())}')}",
            f"DELETE {path('manifests/1')}", f"DELETE {path(f'manifests/{self.manifest}')}",
            f"DELETE {path(f'blobs/{blob}')}", f"POST {path('blobs/uploads/')}",
            f"POST {path('blobs/uploads/')}?digest={digest(documents.index())}",
            f"POST {path('blobs/uploads/')}?mount={blob}&from={self.repository.name}",
            f"POST {path('blobs/uploads/')}?mount={blob}",
            f"GET {self.upload}", f"PATCH {self.upload}", f"PUT {self.upload}?digest={blob}", f"DELETE {self.upload}",
        ]  # fmt: skip
        told = {f"{method} {each}": "read" for each in reads for method in ("GET", "HEAD")}
        return told | dict.fromkeys(writes, "write")


@pytest.fixture
def kept(repository: Repository) -> Kept:
    layer = noise()
    return Kept(repository, repository.image(layer, tag="1"), layer, repository.begin())


def knock(client: httpx.Client, route: str) -> httpx.Response:
    method, _, path = route.partition(" ")
    body = documents.index() if method in {"PUT", "POST", "PATCH"} else b""
    return client.request(method, path, content=body, headers={"Content-Type": documents.OCI_INDEX})


def general(client: httpx.Client) -> dict[str, int]:
    return {path: client.get(path).status_code for path in ("/v2/", "/v2", "/v2/_catalog")}


@pytest.mark.usefixtures("kept", "unchanged")
@pytest.mark.parametrize("who", ["nobody", "a wrong password", "an unknown user", "garbage"])
def test_without_a_login_everything_is_closed(door: Running, kept: Kept, who: str) -> None:
    client = _stranger(door, who)
    for route in [*kept.routes(), "GET /v2/", "GET /v2/_catalog", "GET /v2/unknown"]:
        answer = knock(client, route)
        assert answer.status_code == 401, route
        lawful(answer)


def _stranger(door: Running, who: str) -> httpx.Client:
    if who == "a wrong password":
        return door.client("admin", "wrong")
    if who == "an unknown user":
        return door.client("unknown", "wrong")
    client = door.anonymous()
    if who == "garbage":
        client.headers["Authorization"] = "Basic !!!"
    return client


@pytest.mark.usefixtures("kept", "unchanged")
@pytest.mark.parametrize("role", ["push", "admin"])
def test_a_writer_of_another_repository_can_neither_see_nor_change_this_one(
    door: Running, kept: Kept, newcomer: str, role: str
) -> None:
    with connect_as(door, newcomer, role, f"{newcomer}/*") as outsider:
        for route in kept.routes():
            assert knock(outsider, route).status_code in CLOSED, route
        assert set(general(outsider).values()) == {200}
        assert outsider.get("/v2/_catalog").json() == {"repositories": []}


@pytest.mark.usefixtures("kept", "unchanged")
def test_who_may_read_can_read_and_change_nothing(door: Running, kept: Kept, newcomer: str) -> None:
    with connect_as(door, newcomer, "pull", kept.repository.name) as reader:
        for route, kind in kept.routes().items():
            if kind == "read":
                assert knock(reader, route).status_code == 200, route
            else:
                assert refusal(knock(reader, route)) == (403, "DENIED"), route
        assert set(general(reader).values()) == {200}


@pytest.mark.usefixtures("kept", "unchanged")
def test_who_has_no_rights_at_all_can_log_in_and_nothing_else(door: Running, kept: Kept, newcomer: str) -> None:
    with connect_as(door, newcomer, "none") as nobody:
        for route in kept.routes():
            assert knock(nobody, route).status_code in CLOSED, route
        assert set(general(nobody).values()) == {200}


def test_what_is_hidden_and_what_is_not_there_look_alike(door: Running, kept: Kept, newcomer: str) -> None:
    absent = f"{kept.repository.name}-absent"
    with connect_as(door, newcomer, "push", f"{newcomer}/*") as outsider:
        for route in kept.routes():
            there = knock(outsider, route)
            nowhere = knock(outsider, route.replace(kept.repository.name, absent))
            assert there.status_code == nowhere.status_code, route
            assert there.text.replace(kept.repository.name, "") == nowhere.text.replace(absent, ""), route


def test_a_pusher_may_do_everything_in_its_pattern(door: Running, name: str, newcomer: str) -> None:
    with connect_as(door, newcomer, "push", name) as pusher:
        repository = Repository(pusher, name)
        pushed = repository.image(noise(), tag="1")
        assert repository.pulled("1") == pushed
        assert pusher.delete(repository.begin()).status_code == 204
        assert repository.delete("1").status_code == 202


def test_a_new_user_may_push_as_the_default_has_it(door: Running, name: str, newcomer: str) -> None:
    with connect_as(door, newcomer) as client:
        Repository(client, name).image(noise(), tag="1")


def test_a_pattern_of_one_part_is_of_library(door: Running, admin: httpx.Client, name: str, newcomer: str) -> None:
    short = name.replace("/", "-")
    pushed = Repository(admin, short).manifest(documents.index(), "1")
    with connect_as(door, newcomer, "pull", f"library/{short}") as reader:
        assert Repository(reader, short).pulled("1") == Repository(reader, f"library/{short}").pulled("1") == pushed


def test_a_referrer_does_not_show_what_its_reader_may_not_pull(door: Running, kept: Kept, newcomer: str) -> None:
    with connect_as(door, newcomer, "pull", f"{newcomer}/*") as outsider:
        answer = outsider.get(kept.repository.path(f"referrers/{kept.manifest}"))
        assert answer.status_code in CLOSED


@pytest.mark.parametrize("tag", ["latest", "LATEST", "stable", "1"])
def test_no_tag_has_rights_of_its_own(door: Running, repository: Repository, newcomer: str, tag: str) -> None:
    repository.image(noise(), tag=tag)
    with connect_as(door, newcomer, "pull") as reader:
        theirs = repository.seen_by(reader)
        assert theirs.get(tag).status_code == 200
        assert refusal(theirs.delete(tag)) == (403, "DENIED")
        assert refusal(theirs.put(documents.index(), tag)) == (403, "DENIED")


@pytest.fixture(params=DOORS)
def read_only(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Running, Kept]]:
    """A registry that was filled, and then started again to be read only."""
    layer = noise()
    with opened(tmp_path, request.param) as running, connect(running) as client:
        repository = Repository(client, "kept/app")
        manifest, upload = repository.image(layer, tag="1"), repository.begin()
    with opened(tmp_path, request.param, read_only="on") as running, connect(running) as client:
        yield running, Kept(Repository(client, "kept/app", repository.pushed), manifest, layer, upload)


def _everything(running: Running) -> tuple[dict[str, int], list[Path]]:
    usage = running.usage()
    del usage["free_bytes"]  # of the whole disk, which others use too
    return usage, sorted((running.data / "layers").rglob("*"))


def test_read_only_refuses_every_change_and_lets_everything_be_read(read_only: tuple[Running, Kept]) -> None:
    running, kept = read_only
    before = _everything(running)
    for route, kind in kept.routes().items():
        answer = knock(kept.repository.http, route)
        if kind == "read":
            assert answer.status_code == 200, route
        elif not route.startswith("GET"):
            assert refusal(answer) == (405, "UNSUPPORTED"), route
            assert "read-only" in answer.text, route
    assert kept.repository.http.get("/v2/_catalog").json() == {"repositories": ["kept/app"]}
    assert kept.repository.ask(digest(kept.layer)).status_code == 200
    assert _everything(running) == before
    assert running.anonymous().delete("/v2/kept/app/manifests/1").status_code == 401


def test_a_user_that_is_removed_is_out_at_once(door: Running, repository: Repository, newcomer: str) -> None:
    repository.image(noise(), tag="1")
    with connect_as(door, newcomer, "push") as client:
        theirs = repository.seen_by(client)
        assert theirs.get("1", Accept=OCI_IMAGE).status_code == 200
        door.pier("users", "remove", newcomer)
        assert refusal(theirs.get("1")) == (401, "UNAUTHORIZED")
        assert refusal(client.get("/v2/")) == (401, "UNAUTHORIZED")
