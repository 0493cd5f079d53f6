"""Real Docker engines at a registry with anonymous pull: one host, with and without a login.

The one with the containerd store gets no tokens from a registry whose CA only the engine was given.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts import docker_engine, docker_modern
from tests.parts.docker_engine import DockerEngine
from tests.parts.registry import Running, registry


@pytest.fixture(scope="module", params=["20.10", "26.1", "26.1 with the containerd store"])
def engine(request: pytest.FixtureRequest) -> Iterator[DockerEngine]:
    if request.param == "20.10":
        started = docker_engine.running()
    else:
        started = docker_modern.running(containerd_store="containerd" in request.param)
    with started as running:
        yield running


@pytest.fixture(scope="module")
def server(engine: DockerEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One for each engine."""
    with registry(tmp_path_factory.mktemp("pier") / "data", anonymous_pull="on") as running:
        yield running


@pytest.fixture
def docker(server: Running, engine: DockerEngine, saved_images: dict[str, Path]) -> Iterator[DockerEngine]:
    """Trusting the registry, logged out, with the image small:1; afterwards without any image."""
    engine.trust(server.host, server.ca)
    engine.run("load", "--input", str(saved_images["small"]))
    yield engine
    engine.run("logout", server.host)
    images = engine.run("images", "--format", "{{.Repository}}:{{.Tag}}").split()
    engine.run("rmi", "--force", *images)


def log_in(docker: DockerEngine, server: Running, user: str = "admin", password: str | None = None) -> None:
    docker.run("login", "--username", user, "--password-stdin", server.host, stdin=password or server.password)


def pushed(docker: DockerEngine, reference: str) -> None:
    docker.run("tag", "small:1", reference)
    docker.run("push", reference)


def refusal(docker: DockerEngine, reference: str) -> str:
    """What docker says of a push that is refused."""
    refused = docker.attempt("push", reference)
    assert refused.returncode == 1, refused.stdout
    return refused.stderr


def forgotten(docker: DockerEngine, *references: str) -> None:
    docker.run("rmi", "--force", "small:1", *references)


def test_docker_pulls_without_a_login_and_pushes_with_one(docker: DockerEngine, server: Running) -> None:
    one, two = f"{server.host}/team/app:1", f"{server.host}/team/app:2"
    log_in(docker, server)
    pushed(docker, one)
    docker.run("logout", server.host)
    forgotten(docker, one)

    docker.run("pull", one)
    assert "hello from the pier" in docker.run("run", "--rm", "--network", "none", one)
    docker.run("tag", one, two)
    assert re.search("unauthorized|no basic auth credentials", refusal(docker, two))

    log_in(docker, server)
    docker.run("push", two)
    docker.run("pull", two)
    assert sorted(server.client().get("/v2/team/app/tags/list").json()["tags"]) == ["1", "2"]


def test_a_wrong_password_is_no_login(docker: DockerEngine, server: Running) -> None:
    login = ["login", "--username", "admin", "--password-stdin", server.host]
    assert docker.attempt(*login, stdin="guess").returncode == 1
    docker.run("tag", "small:1", f"{server.host}/team/guessing:1")
    assert refusal(docker, f"{server.host}/team/guessing:1")


def test_who_may_only_pull_is_told_so_at_the_push(docker: DockerEngine, server: Running) -> None:
    reference = f"{server.host}/team/reading:1"
    log_in(docker, server, "reader", server.add_user("reader", role="pull"))
    docker.run("tag", "small:1", reference)
    assert re.search("denied|403 FORBIDDEN", refusal(docker, reference))


def test_a_changed_password_ends_the_engines_login(docker: DockerEngine, server: Running) -> None:
    reference = f"{server.host}/team/changing:1"
    log_in(docker, server, "changing", server.add_user("changing"))
    pushed(docker, reference)
    server.pier("users", "passwd", "changing", "--generate")
    docker.run("tag", "small:1", reference)
    assert refusal(docker, reference)
