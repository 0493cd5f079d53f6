"""Settings that close or move a part of v1: PIER_V1, PIER_READ_ONLY, PIER_PUBLIC_URL, PIER_MAX_SESSIONS."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from flask import Flask

from tests.parts.registry import Running
from tests.registry.protocol.doors import DOORS, opened, user
from tests.registry.protocol.pushing import (
    AGENT,
    blob,
    error,
    image,
    pushed,
    put_checksum,
    put_image,
    put_json,
    put_layer,
    put_tag,
)
from tests.registry.protocol.routes import Route, changing

PUBLIC = "https://registry.example.org:8443"
Request = pytest.FixtureRequest
Factory = pytest.TempPathFactory


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A data folder with one image, to be copied for every mode; and the image's id."""
    folder = tmp_path_factory.mktemp("modes")
    with opened(folder, "direct") as running:
        top = pushed(running.client(), "mode/app", "1")[0].id
    return folder / "data", top


@contextlib.contextmanager
def restarted(filled: tuple[Path, str], folder: Path, kind: str, **settings: object) -> Iterator[Running]:
    shutil.copytree(filled[0], folder / "data", ignore=shutil.ignore_patterns("run"))
    with opened(folder, kind, **settings) as running:
        yield running


@pytest.fixture(scope="module", params=DOORS)
def read_only(filled: tuple[Path, str], request: Request, tmp_path_factory: Factory) -> Iterator[Running]:
    with restarted(
        filled, tmp_path_factory.mktemp("pier"), request.param, read_only="on", public_url=PUBLIC
    ) as running:
        yield running


@pytest.fixture(scope="module", params=DOORS)
def pull_only(filled: tuple[Path, str], request: Request, tmp_path_factory: Factory) -> Iterator[Running]:
    with restarted(filled, tmp_path_factory.mktemp("pier"), request.param, v1="pull") as running:
        yield running


@pytest.fixture(scope="module", params=DOORS)
def without_v1(filled: tuple[Path, str], request: Request, tmp_path_factory: Factory) -> Iterator[Running]:
    with restarted(filled, tmp_path_factory.mktemp("pier"), request.param, v1="off") as running:
        yield running


def everything(client: httpx.Client) -> tuple[object, object]:
    return client.get("/api/usage").json(), client.get("/v1/repositories/mode/app/tags").json()


def test_the_url_map_has_mutations_to_walk(app: Flask) -> None:
    assert len(changing(app)) >= 14


def test_read_only_refuses_every_mutation_with_405_and_changes_nothing(read_only: Running, app: Flask) -> None:
    client = read_only.client()
    before = everything(client)
    for route in changing(app):
        answer = client.request(route.method, route.path(repository="mode/app", tag="1"), content=b"{}")
        assert answer.status_code == 405, route
        assert "read-only" in answer.text, route
    assert everything(client) == before


def test_read_only_lets_everything_be_read(read_only: Running, filled: tuple[Path, str]) -> None:
    client = read_only.client()
    for part in ("json", "layer", "ancestry"):
        assert client.get(f"/v1/images/{filled[1]}/{part}").status_code == 200
    assert client.get("/v1/repositories/mode/app/images").status_code == 200
    assert client.get("/api/repositories/mode/app/tags/1/reclaim").status_code == 200


def test_read_only_asks_for_a_login_first(read_only: Running) -> None:
    assert read_only.anonymous().delete("/v1/repositories/mode/app/tags/1").status_code == 401


def test_read_only_does_not_make_v2_appear_to_old_engines(read_only: Running) -> None:
    answer = read_only.anonymous().put("/v2/mode/app/manifests/1", headers={"User-Agent": AGENT})
    assert answer.status_code == 404


def test_pull_mode_refuses_v1_mutations_and_only_those(pull_only: Running, app: Flask) -> None:
    client = pull_only.client()
    before = everything(client)
    for route in changing(app):
        if route.rule.startswith("/v1/"):
            answer = client.request(route.method, route.path(repository="mode/app", tag="1"), content=b"{}")
            assert error(answer)[0] == 405, route
    assert everything(client) == before
    assert client.delete("/api/repositories/mode/app/tags/unknown").status_code == 404


def test_pull_mode_lets_images_be_pulled(pull_only: Running, filled: tuple[Path, str]) -> None:
    client = pull_only.client()
    assert client.get("/v1/users/").status_code == 200
    assert client.get("/v1/repositories/mode/app/tags").json() == {"1": filled[1]}
    assert client.get(f"/v1/images/{filled[1]}/layer").status_code == 200


def test_switched_off_v1_is_not_there(without_v1: Running, filled: tuple[Path, str]) -> None:
    client = without_v1.client()
    for path in ("/v1/_ping", "/_ping", "/v1/users/", "/v1/search", "/v1/repositories/mode/app/tags"):
        answer = client.get(path)
        assert answer.status_code == 404, path
        assert "X-Docker-Registry-Standalone" not in answer.headers
    assert client.get(f"/v1/images/{filled[1]}/layer").status_code == 404
    assert client.put("/v1/repositories/mode/app/tags/2", json=filled[1]).status_code == 404


def test_switched_off_v1_leaves_the_json_api(without_v1: Running) -> None:
    assert without_v1.client().get("/api/repositories/mode/app/tags").json()["tags"][0]["tag"] == "1"


def test_a_public_url_names_the_endpoint_whatever_host_was_asked(read_only: Running) -> None:
    for host in (read_only.host, "evil.example"):
        answer = read_only.client().get("/v1/repositories/mode/app/images", headers={"Host": host})
        assert answer.headers["X-Docker-Endpoints"] == "registry.example.org:8443"


@pytest.fixture(scope="module")
def limited(tmp_path_factory: Factory) -> Iterator[Running]:
    with opened(tmp_path_factory.mktemp("pier"), "direct", max_sessions=2, max_layer="100K") as running:
        yield running


def test_a_user_has_a_limit_of_open_pushes(limited: Running) -> None:
    client = limited.client(headers={"User-Agent": AGENT})
    for _ in range(2):
        assert client.put("/v1/repositories/a/b/", json=[]).status_code == 200
    answer = client.put("/v1/repositories/a/b/", json=[])
    assert error(answer)[0] == 429
    assert int(answer.headers["Retry-After"]) > 0
    for _ in range(2):
        assert client.put("/v1/repositories/a/b/images", json=[]).status_code == 204
    assert client.put("/v1/repositories/a/b/", json=[]).status_code == 200


def test_uploads_beyond_the_limit_are_429_and_finishing_one_makes_room(limited: Running) -> None:
    client = user(limited, "uploader", headers={"User-Agent": AGENT})
    layers = [image() for _ in range(3)]
    for layer in layers[:2]:
        put_json(client, layer)
        assert put_layer(client, layer).status_code == 200
    assert error(put_json(client, layers[2]))[0] == 429
    assert error(put_layer(client, layers[0]))[0] == 429
    assert put_checksum(client, layers[0]).status_code == 200
    put_image(client, layers[2])
    assert put_tag(client, "a/b", "1", layers[2].id).status_code == 200


def test_a_layer_beyond_the_limit_is_413_at_once_or_when_it_grows(limited: Running) -> None:
    client = limited.client()
    layer = image(size=200_000)
    put_json(client, layer)
    before = client.get("/api/usage").json()["uploads"]
    files = sorted((limited.data / "uploads").iterdir())
    assert error(put_layer(client, layer))[0] == 413
    pieces = (blob(layer)[at : at + 10_000] for at in range(0, 200_000, 10_000))
    assert error(client.put(f"/v1/images/{layer.id}/layer", content=pieces))[0] == 413
    assert sorted((limited.data / "uploads").iterdir()) == files
    assert client.get("/api/usage").json()["uploads"] == before


def test_a_chain_as_long_as_dockers_longest_can_be_pushed_and_one_more_cannot(limited: Running) -> None:
    client = limited.client(headers={"User-Agent": AGENT})
    chain = pushed(client, "long/chain", depth=127, size=10)
    assert client.get(f"/v1/images/{chain[-1].id}/ancestry").json() == [layer.id for layer in reversed(chain)]
    status, text = error(put_json(client, image(chain[-1])))
    assert status == 400
    assert "PIER_MAX_CHAIN" in text


def test_without_free_space_a_layer_is_refused_before_it_comes(tmp_path: Path) -> None:
    with opened(tmp_path, "direct", min_free="900000G") as running:
        client = running.client()
        layer = image()
        put_json(client, layer)
        answer = put_layer(client, layer)
        assert error(answer)[0] == 503
        assert answer.headers["Retry-After"] == "60"


def test_routes_are_spelt_as_clients_spell_them() -> None:
    route = Route("PUT", "/v1/repositories/<v1repository:name>/tags/<tag:tag>")
    assert route.path(repository="a/b", tag="1") == "/v1/repositories/a/b/tags/1"
