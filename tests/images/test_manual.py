"""docs/docker.md, line by line, at an engine that has the image."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.clients.archives import NAME, write_archive
from tests.clients.hosts import beside
from tests.clients.terminal import Terminal
from tests.house.pages import Page, page
from tests.images.container import IMAGE, Container
from tests.parts.database import DatabaseServer
from tests.parts.docker_engine import DockerEngine
from tests.parts.ports import free_port

_PROMPT: Final = re.compile(r"^[$#] ")


def _manual() -> Page:
    return page("docs/docker.md")


def _typed(about: str) -> str:
    """The lines of the block that has `about` in it, without prompts."""
    (block,) = [block for block in _manual().blocks("console") if about in block]
    return "\n".join(_PROMPT.sub("", line) for line in block.splitlines())


@pytest.fixture
def address(host: str) -> str:
    return f"{host}:{free_port()}"


@pytest.fixture
def terminal(engine: DockerEngine, tmp_path: Path) -> Iterator[Terminal]:
    """With an image `app:1` to push; what the manual makes is gone afterwards."""
    write_archive(tmp_path / "small.tar", seed=72)
    with beside(engine) as opened:
        opened.run(f"docker load --quiet --input {tmp_path}/small.tar; docker tag {NAME} app:1")
        yield opened
        opened.attempt("docker rm --force pier; docker volume rm pier; docker rmi --force $(docker images -q app)")


def _type(terminal: Terminal, about: str, address: str) -> str:
    lines = _typed(about).replace("registry.example.org:5443", address)
    return terminal.run(lines.replace("--publish 5443:5443", f"--publish {address}:5443"))


def test_its_lines_run_a_registry_from_the_first_start_to_the_last_stop(
    engine: DockerEngine, terminal: Terminal, address: str
) -> None:
    _type(terminal, "docker logs", address)
    container = Container(engine, "pier", address)
    container.wait_for()
    assert f"https://{address}" in terminal.run("docker logs pier")
    _type(terminal, "docker push", address)
    told = _type(terminal, "docker exec pier pier", address)
    assert "team/app:1" in told
    assert "freed" in told
    terminal.run(_typed("docker stop").splitlines()[0])
    assert container.exit_code() == 0
    terminal.run(_typed("docker stop").splitlines()[1])


def test_the_short_line_is_enough(terminal: Terminal, engine: DockerEngine) -> None:
    (line,) = [span for span in _manual().spans() if span.startswith("docker run")]
    port = free_port()
    terminal.run(line.replace("docker run", "docker run --name pier -d").replace("5443:5443", f"127.0.0.1:{port}:5443"))
    container = Container(engine, "pier", f"localhost:{port}")
    container.wait_for()
    with container.client() as client:
        assert client.get("/v2/").status_code == 200


def test_its_migration_makes_the_tables(terminal: Terminal, mysql: DatabaseServer) -> None:
    mysql.create_database("manual")
    url = mysql.tcp_url("manual")
    lines = _typed("migrate").replace("mysql+pymysql://pier:secret@db.example.org/pier", shlex.quote(url))
    assert "now up to date" in terminal.run(lines.replace("docker run", "docker run --network host"))
    mysql.drop_database("manual")


def test_a_folder_made_as_it_says_can_be_used(terminal: Terminal, engine: DockerEngine, tmp_path: Path) -> None:
    terminal.run(_typed("install --directory").replace("/srv/pier", f"{tmp_path}/pier"))
    terminal.run(f"docker run --detach --name pier --volume {tmp_path}/pier:/data {IMAGE}")
    Container(engine, "pier").wait_for()


def test_it_is_built_as_the_manual_says() -> None:
    words = shlex.split(_typed("docker build"))
    assert words == ["docker", "build", "--tag", IMAGE, "--file", "Dockerfile.registry", "."]


def test_the_default_data_folder_is_the_one_it_names(engine: DockerEngine) -> None:
    (told,) = [row[1] for row in _manual().rows() if row[0] == "`PIER_DATA`"]
    environment = engine.run("inspect", "--format", "{{json .Config.Env}}", IMAGE)
    assert f'"PIER_DATA={told.strip("`")}"' in environment
