"""One image, both ways: yesterday's engines and today's share what they push."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients import stored
from tests.clients.v1 import DockerV1
from tests.parts.docker_engine import DockerEngine
from tests.parts.images import read_saved
from tests.parts.registry import Running, registry

OLD = pytest.mark.parametrize("version", ["1.6.2", "1.9.1"])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with registry(tmp_path_factory.mktemp("bridge") / "data") as running:
        yield running


@pytest.fixture(scope="module")
def engine(server: Running, docker_engine: DockerEngine) -> Iterator[DockerEngine]:
    """Logged in; without the images that a test made when it ends."""
    docker_engine.trust(server.host, server.ca)
    docker_engine.run("login", "--username", "admin", "--password-stdin", server.host, stdin=server.password)
    yield docker_engine
    docker_engine.run("logout", server.host)


def old_docker(server: Running, version: str) -> DockerV1:
    return DockerV1(server.host, ca=server.ca, user="admin", password=server.password, version=version)


def run_on_todays(server: Running, engine: DockerEngine, version: str, saved: Path, command: list[str]) -> str:
    """Push as the old version, pull and run with today's engine; what it printed. Then all of it is deleted."""
    before = stored.space(server)
    image = f"{server.host}/old/app:1"
    old_docker(server, version).push("old/app", {"1": read_saved(saved)[0]})
    engine.run("pull", image)
    told = engine.run("run", "--rm", "--network", "none", image, *command)
    engine.run("rmi", image)
    server.pier("delete", "old/app:1")
    assert stored.space(server) == before
    return told


def test_debian_pushed_by_an_old_engine_runs_on_todays(
    server: Running, engine: DockerEngine, saved_images: dict[str, Path]
) -> None:
    told = run_on_todays(server, engine, "1.6.2", saved_images["app"], ["cat", "/etc/os-release"])
    assert 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"' in told


def test_an_image_pushed_by_an_old_engine_starts_what_it_was_made_to_start(
    server: Running, engine: DockerEngine, saved_images: dict[str, Path]
) -> None:
    assert run_on_todays(server, engine, "1.9.1", saved_images["small"], []) == "greeting = hello from the pier"


@OLD
def test_what_todays_engine_pushed_is_pulled_by_an_old_one(
    server: Running, engine: DockerEngine, saved_images: dict[str, Path], tmp_path: Path, version: str
) -> None:
    before = stored.space(server)
    repository = f"new-{version}/app"
    image = f"{server.host}/{repository}:1"
    engine.run("load", "--input", str(saved_images["chain"]))
    engine.run("tag", "chain:4", image)
    engine.run("push", image)
    engine.run("rmi", image, *(f"chain:{number}" for number in (4, 3, 2, 1)))
    pulled = old_docker(server, version).pull(repository, "1", into=tmp_path)["1"]
    saved = next(one for one in read_saved(saved_images["chain"]) if "chain:4" in one.tags)
    assert [layer.uncompressed_sha256 for layer in pulled.layers] == [
        hashlib.sha256(layer.layer.read_bytes()).hexdigest() for layer in saved.layers
    ]
    server.pier("delete", f"{repository}:1")
    assert stored.space(server) == before
