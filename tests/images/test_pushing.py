"""docker itself at the published port, trusting the CA that the first start printed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.archives import NAME, write_archive
from tests.images.container import Container, published, volume
from tests.parts.docker_engine import DockerEngine


@pytest.fixture
def image(engine: DockerEngine, tmp_path: Path) -> Iterator[str]:
    """Its id."""
    write_archive(tmp_path / "small.tar", seed=71)
    engine.run("load", "--input", str(tmp_path / "small.tar"))
    found = engine.run("image", "inspect", "--format", "{{.Id}}", NAME)
    yield found
    engine.attempt("rmi", "--force", found)


def _log_in(engine: DockerEngine, to: Container) -> None:
    engine.run("login", "--username", "admin", "--password-stdin", to.address, stdin=to.password())


def _trust(engine: DockerEngine, of: Container, folder: Path) -> None:
    (folder / "ca.crt").write_text(of.authority())
    engine.trust(of.address, folder / "ca.crt")


def _push(engine: DockerEngine, to: Container, image: str) -> str:
    """The reference."""
    reference = f"{to.address}/team/app:1"
    engine.run("tag", image, reference)
    engine.run("push", reference)
    return reference


def test_docker_logs_in_pushes_and_pulls(pier: Container, engine: DockerEngine, image: str, tmp_path: Path) -> None:
    _trust(engine, pier, tmp_path)
    _log_in(engine, pier)
    reference = _push(engine, pier, image)
    engine.run("rmi", "--force", image)
    engine.run("pull", reference)
    assert engine.run("image", "inspect", "--format", "{{.Id}}", reference) == image


def test_docker_does_not_come_in_without_that_ca(engine: DockerEngine, host: str) -> None:
    with published(engine, host) as stranger:
        refused = engine.attempt(
            "login", "--username", "admin", "--password-stdin", stranger.address, stdin=stranger.password()
        )
    assert refused.returncode == 1
    assert "x509" in refused.stderr


def test_the_volume_holds_everything(engine: DockerEngine, host: str, image: str, tmp_path: Path) -> None:
    """Another container on the same volume has the same images, users, password and CA, at another address."""
    with volume(engine) as data:
        with published(engine, host, f"--volume={data}:/data") as first:
            _trust(engine, first, tmp_path)
            _log_in(engine, first)
            _push(engine, first, image)
            known = first.password(), first.authority()
            first.exec("pier", "users", "add", "alice", "--generate")
            first.remove()
        with published(engine, host, f"--volume={data}:/data") as second, second.client() as client:
            assert (second.password(), second.authority()) == known
            assert client.get("/v2/team/app/tags/list").json()["tags"] == ["1"]
            assert "alice" in second.exec("pier", "users", "list")
            assert "clean" in second.exec("pier", "fsck", "--digests")
