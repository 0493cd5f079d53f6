"""The files as containerd and Docker read them: a pull works when they are there, and not before or after."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree

import pytest

from pier_operator.claim import TRUSTED, Claim
from pier_operator.nodes.agent import Agent
from pier_operator.nodes.files import Files, Place
from pier_operator.plan.nodes import CONDITION
from tests.clients import containerd
from tests.clients.archives import NAME, write_archive
from tests.clients.terminal import Terminal, own_host
from tests.nodes.node import OWNER, mount
from tests.operator.planning import planned, settled
from tests.parts import docker_engine
from tests.parts.docker_engine import DockerEngine
from tests.parts.registry import Running, registry
from tests.parts.tools import tool

_IMAGE = "team/app:1"


@dataclass(frozen=True, slots=True)
class _Registry:
    """`host` is what images are named with."""

    pier: Running
    host: str
    password: str

    @property
    def claim(self) -> Claim:
        return Claim(self.host, self.pier.ca.read_text(), "pier-nodes", self.password)

    @property
    def image(self) -> str:
        return f"{self.host}/{_IMAGE}"


@pytest.fixture(scope="module", params=["on port 443", "on another port"])
def served(
    request: pytest.FixtureRequest, address: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[_Registry]:
    """Where there is an image to pull, for an address with a port and for one without."""
    port = {"port": 443} if request.param == "on port 443" else {}
    data = tmp_path_factory.mktemp("served") / "data"
    with registry(data, host=address, public_url=f"https://{address}", **port) as running:
        host = address if port else f"{address}:{running.port}"
        yield _Registry(running, host, running.add_user("pier-nodes", role="pull", repositories="pier-nodes"))


@pytest.fixture(scope="module")
def terminal() -> Iterator[Terminal]:
    """A node with containerd."""
    home = Path(tempfile.mkdtemp(prefix="pier-node-"))
    with ExitStack() as stack:
        stack.callback(rmtree, home)
        opened = stack.enter_context(own_host({"ctr": tool("ctr")}))
        stack.enter_context(containerd.running(opened, home))
        write_archive(opened.folder / "app.tar", seed=4711)
        opened.run("ctr images import app.tar; mkdir -p /etc/containerd/certs.d")
        yield opened


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerEngine]:
    archive = tmp_path_factory.mktemp("archive") / "app.tar"
    write_archive(archive, seed=4712)
    with docker_engine.running() as running:
        running.run("load", "--quiet", "--input", str(archive))
        yield running


def _agent(served: _Registry, folder: Path, place: Place) -> Agent:
    folder.mkdir()
    return Agent(folder, Files([place], OWNER), (served.host.partition(":")[0],))


def _give(folder: Path, *claims: Claim) -> None:
    mount(folder, {"complete": "true"} | {f"team.registry-{number}": each.text() for number, each in enumerate(claims)})


def _inside(terminal: Terminal, path: str) -> Path:
    """The same path of the node, seen from here."""
    return Path(f"/proc/{terminal.namespace}/root{path}")


def _ctr(verb: str, served: _Registry) -> str:
    login = f"--user admin:{served.pier.password}"
    return f"ctr images {verb} --hosts-dir /etc/containerd/certs.d {login} {served.image}"


def test_containerd_pulls_while_the_files_are_there(terminal: Terminal, served: _Registry, tmp_path: Path) -> None:
    agent = _agent(served, tmp_path / "c", Place(_inside(terminal, "/etc/containerd/certs.d"), by_hosts_toml=True))
    terminal.run(f"ctr images tag --force docker.io/library/{NAME} {served.image}")
    assert "certificate signed by unknown authority" in terminal.attempt(_ctr("push", served)).stdout
    _give(tmp_path / "c", served.claim)
    told = agent.round()
    assert told
    assert told[served.host].reason == TRUSTED
    terminal.run(_ctr("push", served))
    terminal.run(f"ctr images rm --sync {served.image}")
    terminal.run(_ctr("pull", served))
    _give(tmp_path / "c")
    agent.round()
    assert "certificate signed by unknown authority" in terminal.attempt(_ctr("pull", served)).stdout


def test_docker_pulls_while_the_files_are_there(engine: DockerEngine, served: _Registry, tmp_path: Path) -> None:
    """Without a restart."""
    agent = _agent(served, tmp_path / "c", Place(engine.home / "etc" / "certs.d"))
    login = ("login", "--username", "admin", "--password-stdin", served.host)
    assert "unknown authority" in engine.attempt(*login, stdin=served.pier.password).stderr
    _give(tmp_path / "c", served.claim)
    told = agent.round()
    assert told
    assert told[served.host].reason == TRUSTED
    engine.run(*login, stdin=served.pier.password)
    engine.run("tag", NAME, served.image)
    engine.run("push", served.image)
    engine.run("rmi", served.image)
    engine.run("pull", served.image)
    _give(tmp_path / "c")
    agent.round()
    assert "unknown authority" in engine.attempt("pull", served.image).stderr


def test_what_the_status_says_to_type_is_enough(terminal: Terminal, served: _Registry, tmp_path: Path) -> None:
    """On a node of containerd; kubectl prints what it would print."""
    spec = {"host": "registry.example.org"}
    told = planned(spec, children=settled(spec)).condition(CONDITION)
    assert told
    assert told.reason == "NotRequested"
    lines = told.message.partition("on each node: ")[2].partition("; for Docker")[0]
    authority = tmp_path / "ca.crt"
    authority.write_text(served.pier.ca.read_text())
    asked = "get configmap pier-ca --namespace team --output jsonpath={.data.ca\\.crt}"
    kubectl = f"kubectl() {{ test \"$*\" = '{asked}'; cat {authority}; }}\n"
    terminal.run(f"ctr images tag --force docker.io/library/{NAME} {served.image}")
    assert "unknown authority" in terminal.attempt(_ctr("push", served)).stdout
    terminal.run(kubectl + lines.replace("registry.example.org", served.host))
    terminal.run(_ctr("push", served))
    terminal.run(f"rm -r /etc/containerd/certs.d/{served.host}")
