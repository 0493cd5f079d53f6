"""docs/kubernetes.md as a newcomer types it, and the examples as they stand.

The page's first part is typed in its order, one section a test: each goes on where the one before has ended. Left out
are the lines that build and push Pier's own images, which are on the node by these names: tests/images builds them.
Replaced is one name, since `registry.example.org` belongs to the registry of other tests. MySQL is the node's own.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest
import yaml

from tests.clients.terminal import Terminal, own_host
from tests.cluster import images
from tests.cluster.cluster import ENFORCED, HOSTS, SYSTEM, Cluster
from tests.cluster.registry import Registry
from tests.house.pages import ROOT, page
from tests.operator.cluster import Api, eventually
from tests.parts import docker_engine
from tests.parts.kubernetes_programs import program
from tests.parts.tools import tool

_PAGE: Final = "docs/kubernetes.md"
_HOST: Final = "registry.example.org"
_OWN: Final = HOSTS[9]
_PART: Final = re.compile(r"^## From nothing to a running image$(.*?)^## ", re.MULTILINE | re.DOTALL)
_SECTION: Final = re.compile(r"^### (.+?)$(.*?)(?=^### |\Z)", re.MULTILINE | re.DOTALL)
_CONSOLE: Final = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_BUILT: Final = re.compile(r"^docker (?:build|push) .*mirror\.example\.org/pier/")
_MYSQL: Final = dict(zip(("repository", "tag"), images.MYSQL.split(":"), strict=True))
_APP: Final = """
mkdir app
head -c 8000000 /dev/urandom > app/data
printf 'FROM small:1\\nCOPY data /data\\nCMD ["/bin/busybox", "sleep", "600"]\\n' > app/Dockerfile
docker build --quiet --network none --tag app:1 app
"""


def _sections() -> dict[str, list[str]]:
    """The commands of each section of the first part, without prompts."""
    part = _PART.search(page(_PAGE).text)
    assert part
    return {name: _commands(text) for name, text in _SECTION.findall(part[1])}


def _commands(text: str) -> list[str]:
    lines = "".join(_CONSOLE.findall(text)).replace("\\\n", " ").splitlines()
    assert all(line.startswith(("$ ", "# ")) for line in lines), text
    return [line[2:] for line in lines]


@pytest.fixture(scope="module")
def space(cluster: Cluster) -> Iterator[str]:
    """A namespace that asks nothing special of pods, as new ones do."""
    name = f"newcomer-{time.time_ns() // 1_000_000}"
    cluster.kubectl("create", "namespace", name)
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="module")
def empty(cluster: Cluster) -> Iterator[Cluster]:
    """Without a release and its namespace's rules; what was there before is there again afterwards."""
    before = cluster.helm("list", "--namespace", SYSTEM, "--short").split()
    for release in before:
        cluster.helm("uninstall", release, "--namespace", SYSTEM, "--wait")
    cluster.kubectl("label", "namespace", SYSTEM, f"{ENFORCED}-", check=False)
    yield cluster
    for release in cluster.helm("list", "--namespace", SYSTEM, "--short").split():
        cluster.helm("uninstall", release, "--namespace", SYSTEM, "--wait")
    for release in before:
        cluster.kubectl("label", "namespace", SYSTEM, f"{ENFORCED}=restricted", "--overwrite")
        cluster.install(release)


@pytest.fixture(scope="module")
def newcomer(
    empty: Cluster, space: str, saved_images: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Terminal]:
    """In a checkout of Pier, with docker and an image `app:1`, kubectl in a namespace, and helm."""
    kubeconfig = tmp_path_factory.mktemp("newcomer") / "kubeconfig"
    shutil.copy(empty.kubeconfig, kubeconfig)
    with docker_engine.running(hosts={_OWN: empty.front}) as engine:
        programs = {"docker": Path(engine.cli), "kubectl": program("kubectl"), "helm": tool("helm")}
        with own_host(programs, {**engine.environment, "KUBECONFIG": str(kubeconfig)}) as terminal:
            terminal.run(f"mkdir -p /etc/docker; mount --bind {engine.home}/etc /etc/docker")
            terminal.run(f"echo {empty.front} {_OWN} >> /etc/hosts; ln -s {ROOT}/charts .; mkdir examples")
            terminal.run(f"kubectl config set-context --current --namespace {space}")
            for example in (ROOT / "examples").glob("*.yaml"):
                (terminal.folder / "examples" / example.name).write_text(_adapted(example.read_text()))
            terminal.run(f"docker load --quiet --input {saved_images['small']}{_APP}")
            yield terminal


def _adapted(text: str) -> str:
    return text.replace(_HOST, _OWN)


def _type(newcomer: Terminal, section: str) -> dict[str, str]:
    """What each command of the section says."""
    commands = [_adapted(line) for line in _sections()[section] if not _BUILT.match(line)]
    assert commands
    return {line: newcomer.run(_with_mysql(line)) for line in commands}


def _with_mysql(line: str) -> str:
    if not line.startswith("helm install"):
        return line
    return " ".join([line, *(f"--set operands.mysql.image.{key}={value}" for key, value in _MYSQL.items())])


def test_an_example_of_more_becomes_ready_as_it_stands(another: Callable[[], Registry]) -> None:
    made = another()
    made.cluster.kubectl("apply", "-n", made.namespace, "-f", str(ROOT / "examples" / "pierregistry.yaml"))
    made.wait()
    assert made.host == _HOST
    (balanced,) = made.api.get("Service", made.namespace)["status"]["loadBalancer"]["ingress"]  # type: ignore[index]
    with made.client("ci", address=balanced["ip"]) as client:
        assert client.post("/v2/team/app/blobs/uploads/").status_code == 202
        assert client.post("/v2/other/app/blobs/uploads/").status_code == 403


def test_the_page_shows_the_examples_that_it_applies() -> None:
    shown = [yaml.safe_load(block) for block in page(_PAGE).blocks("yaml")[:2]]
    assert shown == [yaml.safe_load((ROOT / "examples" / f"{name}.yaml").read_text()) for name in ("first", "ingress")]


def test_every_section_of_the_first_part_is_typed_here() -> None:
    assert list(_sections()) == [
        "The operator",
        "A registry",
        "A name for it",
        "Push",
        "Run",
        "Delete, and see the space come back",
        "Take it away",
    ]


def test_the_operator_is_installed(newcomer: Terminal) -> None:
    told = _type(newcomer, "The operator")
    assert "Phase:          Succeeded" in next(told[line] for line in told if line.startswith("helm test"))


def test_an_empty_spec_becomes_ready(newcomer: Terminal) -> None:
    told = _type(newcomer, "A registry")
    assert told["kubectl get pierregistries"].splitlines()[1].split()[:3] == ["first", "True", "Ready"]


def test_it_gets_a_name_and_nodes_that_trust_it(newcomer: Terminal) -> None:
    _type(newcomer, "A name for it")
    assert _OWN in newcomer.run("kubectl get pierregistries")


def test_an_image_is_pushed(newcomer: Terminal) -> None:
    told = _type(newcomer, "Push")
    assert "1: digest: sha256:" in told[f"docker push {_OWN}/team/app:1"]


def test_the_image_runs(newcomer: Terminal) -> None:
    told = _type(newcomer, "Run")
    assert "successfully rolled out" in next(told[line] for line in told if "rollout" in line)


def test_a_deleted_tag_gives_its_space_back(newcomer: Terminal) -> None:
    look, delete = dict.fromkeys(_sections()["Delete, and see the space come back"])
    before = int(newcomer.run(look).split()[0])
    told = newcomer.run(_adapted(delete))
    after = int(newcomer.run(look).split()[0])
    freed = re.search(r"^pier-freed-bytes: (\d+)", told, re.MULTILINE | re.IGNORECASE)
    assert freed, told
    assert int(freed[1]) > 8_000_000
    assert abs((before - after) * 1024 - int(freed[1])) <= 64 << 10


def test_it_is_taken_away(newcomer: Terminal, empty: Cluster, space: str, api: Api) -> None:
    """What stays is the data and the passwords; no node trusts it any more."""
    _type(newcomer, "Take it away")
    stays = {("PersistentVolumeClaim", f"first-{part}") for part in ("data", "mysql")}
    stays |= {("Secret", f"first-{part}") for part in ("admin", "users", "ca", "db")}
    eventually(lambda: set(api.children(space)) == stays, 60, lambda: str(set(api.children(space))))
    assert _OWN not in empty.machine.run("ls", "/etc/containerd/certs.d")
