"""PIER_ANONYMOUS_PULL as users meet it, behind nginx and without it: reads take no login, all else takes one."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tests.clients.v1 import ClientError, DockerV1
from tests.parts.images import synthetic_image
from tests.parts.registry import Running
from tests.registry.protocol.doors import DOORS, basic, opened, user
from tests.registry.protocol.pushing import pushed

API_VERSION: Final = "docker-distribution-api-version"
OLD_ENGINE: Final = {"User-Agent": "docker/1.9.1 go/go1.4.3 git-commit/a34a1d5 kernel/4.2.0 os/linux arch/amd64"}


@pytest.fixture(scope="module", params=DOORS)
def door(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Two workers, since a token of one must be good for the other."""
    settings = {"anonymous_pull": "on", "workers": 2, "login_failures": 100_000}
    with opened(tmp_path_factory.mktemp("pier"), request.param, **settings) as running:
        yield running


@pytest.fixture
def stranger(door: Running) -> httpx.Client:
    return door.anonymous()


@pytest.fixture(scope="module")
def image(door: Running) -> str:
    """The id of a v1 image under kept/app:1."""
    return pushed(door.client(), "kept/app", "1")[0].id


def token(client: httpx.Client, **asked: str) -> dict[str, str]:
    answer = client.get("/v2/token", params=asked)
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['token']}"}


def bearer(door: Running, name: str = "") -> str:
    """The challenge, as it must be to the byte."""
    scope = f',scope="repository:{name}"' if name else ""
    return f'Bearer realm="{door.url}/v2/token",service="{door.host}"{scope}'


@pytest.mark.parametrize("path", ["/v2/", "/v2"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_v2_tells_clients_where_tokens_are(door: Running, stranger: httpx.Client, method: str, path: str) -> None:
    answer = stranger.request(method, path)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == bearer(door)
    assert answer.headers[API_VERSION] == "registry/2.0"
    assert method == "HEAD" or answer.json()["errors"][0]["code"] == "UNAUTHORIZED"


def test_a_login_is_still_answered_at_once(door: Running) -> None:
    answer = door.client().get("/v2/")
    assert (answer.status_code, answer.json()) == (200, {})


def push(client: httpx.Client, name: str, tag: str, headers: dict[str, str]) -> bytes:
    """A manifest of one layer, pushed as docker does; returned."""
    config, layer = b"{}", secrets.token_bytes(1000)
    described: list[dict[str, Any]] = [
        {"mediaType": "application/vnd.test", "digest": f"sha256:{hashlib.sha256(blob).hexdigest()}", "size": len(blob)}
        for blob in (config, layer)
    ]
    for blob, told in zip((config, layer), described, strict=True):
        begun = client.post(f"/v2/{name}/blobs/uploads/", headers=headers)
        assert begun.status_code == 202, begun.text
        assert begun.headers["location"].startswith(f"/v2/{name}/blobs/uploads/")
        place = begun.headers["location"]
        assert client.patch(place, content=blob, headers=headers).status_code == 202
        assert client.put(place, params={"digest": told["digest"]}, headers=headers).status_code == 201
    media_type = "application/vnd.oci.image.manifest.v1+json"
    manifest = {"schemaVersion": 2, "mediaType": media_type, "config": described[0], "layers": described[1:]}
    body = json.dumps(manifest).encode()
    typed = headers | {"Content-Type": media_type}
    assert client.put(f"/v2/{name}/manifests/{tag}", content=body, headers=typed).status_code == 201
    return body


def test_who_logs_in_pushes_and_whoever_comes_pulls(door: Running, stranger: httpx.Client) -> None:
    client = door.anonymous()
    asked = client.post("/v2/team/app/blobs/uploads/")
    assert asked.headers["www-authenticate"] == bearer(door, "team/app:pull,push")
    mine = token(user(door, "pusher"), service=door.host, scope="repository:team/app:pull,push", account="pusher")
    manifest = push(client, "team/app", "1", mine)

    assert stranger.head("/v2/team/app/manifests/1").headers["www-authenticate"] == bearer(door, "team/app:pull")
    nobodys = token(stranger, service=door.host, scope="repository:team/app:pull")
    assert stranger.get("/v2/", headers=nobodys).status_code == 200
    assert stranger.head("/v2/team/app/manifests/1", headers=nobodys).status_code == 200
    assert stranger.get("/v2/team/app/manifests/1", headers=nobodys).content == manifest
    layer = json.loads(manifest)["layers"][0]
    got = stranger.get(f"/v2/team/app/blobs/{layer['digest']}", headers=nobodys)
    assert (got.status_code, len(got.content)) == (200, layer["size"])
    assert got.headers[API_VERSION] == "registry/2.0"


def test_what_strangers_may_not_asks_for_a_login_and_what_users_may_not_is_denied(door: Running, image: str) -> None:
    stranger, reader = door.anonymous(), user(door, "reader", "pull")
    nobodys = token(stranger)
    for method, path in [
        ("POST", "/v2/kept/app/blobs/uploads/"),
        ("DELETE", "/v2/kept/app/manifests/1"),
        ("DELETE", "/v1/repositories/kept/app/tags/1"),
        ("DELETE", "/api/repositories/kept/app/tags/1"),
        ("GET", "/api/repositories/kept/app/tags/1/reclaim"),
    ]:
        for headers in ({}, nobodys):
            answer = stranger.request(method, path, headers=headers)
            scheme = "Bearer " if path.startswith("/v2/") else "Basic "
            assert (answer.status_code, answer.headers["www-authenticate"][: len(scheme)]) == (401, scheme), path
        assert reader.request(method, path).status_code == 403, path
    assert stranger.get("/v1/repositories/kept/app/tags/1").json() == image


def test_v1_and_the_api_are_read_without_a_login(stranger: httpx.Client, image: str) -> None:
    assert stranger.get("/v1/repositories/kept/app/tags").json() == {"1": image}
    for part in ("json", "layer", "ancestry"):
        assert stranger.get(f"/v1/images/{image}/{part}").status_code == 200, part
    assert "kept/app" in stranger.get("/api/repositories").json()["repositories"]
    assert stranger.get("/api/repositories/kept/app/tags/1").json()["image"] == image
    for path in ("/v1/users/", "/v1/users"):
        assert stranger.get(path).headers["www-authenticate"] == 'Basic realm="Pier"'


@pytest.mark.parametrize("version", ["1.6.2", "1.9.1"])
def test_old_engines_pull_without_a_login_and_push_with_one(door: Running, version: str) -> None:
    made, name = synthetic_image(depth=2, seed=7, size=2_000), f"old/app-{version.replace('.', '-')}"
    DockerV1(door.host, ca=door.ca, user="admin", password=door.password, version=version).push(name, {"1": made})
    nobody = DockerV1(door.host, ca=door.ca, version=version)
    assert [layer.id for layer in nobody.pull(name, "1")["1"].layers] == [layer.id for layer in made.layers]
    with pytest.raises(ClientError):
        nobody.push(name, {"2": made})
    with pytest.raises(ClientError):
        nobody.login()


@pytest.mark.parametrize("path", ["/v2", "/v2/", "/v2/token", "/v2/kept/app/manifests/1"])
@pytest.mark.parametrize("login", [False, True], ids=["nobody", "admin"])
def test_old_engines_find_no_v2(door: Running, login: bool, path: str) -> None:
    client = door.client() if login else door.anonymous()
    answer = client.get(path, headers=OLD_ENGINE)
    assert answer.status_code == 404
    assert API_VERSION not in answer.headers
    assert "www-authenticate" not in answer.headers


def test_a_token_is_good_for_every_worker(door: Running, stranger: httpx.Client) -> None:
    mine = token(user(door, "many"))
    for _ in range(20):  # a connection each, so that both workers take some
        with door.anonymous() as client:
            assert client.get("/v2/", headers=mine).status_code == 200


def test_a_new_password_ends_the_tokens_of_the_old_one_at_once(door: Running, stranger: httpx.Client) -> None:
    mine = token(user(door, "careless"))
    assert stranger.get("/v2/", headers=mine).status_code == 200
    door.pier("users", "passwd", "careless", "--generate", "--cost", "10")
    assert stranger.get("/v2/", headers=mine).status_code == 401


def test_a_right_that_is_taken_away_holds_for_tokens_at_once(door: Running, stranger: httpx.Client) -> None:
    mine = token(user(door, "demoted", "push", "team/*"))
    assert stranger.post("/v2/team/x/blobs/uploads/", headers=mine).status_code == 202
    rights = door.data / "rights.yaml"
    entry = re.sub(r"(demoted:\n  - role: )push", r"\1pull", rights.read_text())
    assert entry != rights.read_text()
    rights.write_text(entry)
    assert stranger.post("/v2/team/x/blobs/uploads/", headers=mine).status_code == 403


def test_a_wrong_password_gets_no_token(door: Running) -> None:
    answer = door.client("admin", "guess").get("/v2/token")
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Basic realm="Pier"')
    assert answer.headers[API_VERSION] == "registry/2.0"


def test_a_token_may_be_asked_for_by_form(door: Running, stranger: httpx.Client) -> None:
    form = {"grant_type": "password", "username": "admin", "password": door.password, "service": door.host}
    told = stranger.post("/v2/token", data=form).json()
    assert stranger.get("/v2/", headers={"Authorization": f"Bearer {told['access_token']}"}).status_code == 200


def test_an_entry_hides_repositories_from_strangers(door: Running, stranger: httpx.Client, image: str) -> None:
    rights = door.data / "rights.yaml"
    before = rights.read_text() if rights.exists() else "users:\n"
    rights.write_text(f"{before}  anonymous: [{{role: pull, repositories: 'public/*'}}]\n")
    try:
        assert stranger.get("/api/repositories").json()["repositories"] == []
        assert stranger.get(f"/v1/images/{image}/json").status_code == 404
        answer = stranger.get("/v2/kept/app/tags/list")
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, bearer(door, "kept/app:pull"))
        assert door.client().get("/v2/kept/app/tags/list").status_code == 200
    finally:
        rights.write_text(before)


def left(door: Running) -> dict[str, int]:
    """What requests can leave in the registry."""
    return {name: value for name, value in door.usage().items() if name != "free_bytes"}


def test_a_stranger_leaves_nothing_behind(door: Running, stranger: httpx.Client, image: str) -> None:
    before = left(door)
    nobodys = token(stranger)
    for client in (stranger, door.anonymous()):
        for method in ("GET", "HEAD"):
            assert client.request(method, "/v2/kept/app/tags/list", headers=nobodys).status_code == 200
            assert client.request(method, f"/v1/images/{image}/json").status_code == 200
    assert left(door) == before


@pytest.mark.parametrize("kind", DOORS)
def test_tokens_survive_a_restart_and_a_read_only_registry_makes_them(tmp_path: Path, kind: str) -> None:
    with opened(tmp_path, kind, anonymous_pull="on") as running:
        mine = token(running.client())
        assert (running.data / "token-key").stat().st_mode & 0o777 == 0o600
        running.stop()
        running.environment["PIER_READ_ONLY"] = "on"
        running.start()
        with running.anonymous() as stranger:
            assert stranger.get("/v2/", headers=mine).status_code == 200
            form = {"grant_type": "password", "username": "admin", "password": running.password}
            assert stranger.post("/v2/token", data=form).status_code == 200
            assert stranger.post("/v2/a/blobs/uploads/", headers=mine).status_code == 405


@pytest.mark.parametrize("kind", DOORS)
def test_without_the_setting_there_is_one_challenge_and_no_key(tmp_path: Path, kind: str) -> None:
    with opened(tmp_path, kind) as running:
        stranger = running.anonymous()
        for path in ("/v2/", "/v2/token", "/v2/team/app/manifests/1", "/v1/users/", "/api/repositories"):
            for headers in ({}, {"Authorization": basic(running, "", ":").split(": ", 1)[1].strip()}):
                answer = stranger.get(path, headers=headers)
                assert answer.headers.get_list("www-authenticate") == ['Basic realm="Pier"'], path
        assert running.client().get("/v2/token").status_code == 404
        assert not (running.data / "token-key").exists()
