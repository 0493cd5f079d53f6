"""A cluster of one node on a machine of its own, with names, volumes, load balancers and Traefik."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from string import Template
from typing import Any, Final

from tests.cluster import images, machine, node
from tests.cluster.machine import Machine
from tests.house.pages import ROOT
from tests.images import built
from tests.parts import foreign_kinds
from tests.parts.control_plane import ControlPlane
from tests.parts.tools import tool

READY_WITHIN: Final = 120.0
# These lead to the Ingress, for pods, for the node, and for whoever reads `hosts`.
HOSTS: Final = ("registry.example.org", *(f"r{number}.example.org" for number in range(1, 20)))

CHART: Final = ROOT / "charts" / "pier"
SYSTEM: Final = "pier-system"
ENFORCED: Final = "pod-security.kubernetes.io/enforce"

_MANIFESTS: Final = Path(__file__).with_name("manifests")
_STATE: Final = "state.json"


@dataclass(slots=True)
class Cluster:
    """What is installed on it is the caller's. `kubectl` is an admin's."""

    machine: Machine
    plane: ControlPlane

    @property
    def is_own(self) -> bool:
        """Whether it is on a machine of this host. That of a given kubeconfig has none to look into."""
        return bool(self.machine.number)

    @property
    def front(self) -> str:
        """The address of Traefik."""
        return machine.balanced(self.machine.address)[0]

    @property
    def kubeconfig(self) -> Path:
        return self.plane.kubeconfig

    def kubectl(self, *arguments: str, stdin: str | None = None, check: bool = True) -> str:
        return self.plane.kubectl(*arguments, stdin=stdin, check=check)

    def apply(self, name: str, **values: str) -> None:
        """One of the manifests here, with its `$names` filled in."""
        self.kubectl("apply", "-f", "-", stdin=Template((_MANIFESTS / name).read_text()).substitute(values))

    def boot(self) -> None:
        """Start, or start again after the machine was off, until the node is ready."""
        home = self.machine.home
        (home / "hosts").write_text(f"{self.front} {' '.join(HOSTS)}\n")
        self.machine.boot(
            sys.executable, "-m", "tests.cluster.node", str(home), self.machine.address, self.machine.name
        )
        began, deadline = datetime.now(UTC).replace(microsecond=0), time.monotonic() + READY_WITHIN
        while not self._is_ready(began):
            if not self.machine.is_on or time.monotonic() > deadline:
                raise AssertionError(f"the node did not start:\n{self.logs()}")
            time.sleep(0.2)
        (home / _STATE).write_text(json.dumps({"number": self.machine.number, "first": self.machine.first}))

    def furnish(self) -> None:
        """Images, names and the Ingress. Raises PartMissing."""
        self.load(images.surroundings())
        self.load_pier()
        for kind in ("HTTPRoute", "Gateway", "GatewayClass", "GRPCRoute", "ReferenceGrant", "BackendTLSPolicy"):
            self.kubectl("apply", "--server-side", "-f", str(foreign_kinds.definition(kind)))
        listed = f"    {self.front} {' '.join(HOSTS)}"
        self.apply("coredns.yaml", hosts=listed, dns=node.DNS, coredns=images.COREDNS)
        self.apply("traefik.yaml", front=self.front, traefik=images.TRAEFIK)
        for place in ("kube-system/coredns", "traefik/traefik"):
            namespace, name = place.split("/")
            self.kubectl("rollout", "status", f"deployment/{name}", "-n", namespace, "--timeout=55s")

    def install(self, release: str, *options: str) -> str:
        """The chart, as docs/kubernetes.md does it."""
        return self.helm(
            "upgrade",
            "--install",
            release,
            str(CHART),
            "--namespace",
            SYSTEM,
            "--create-namespace",
            "--wait",
            *self.values,
            *options,
        )

    @property
    def values(self) -> list[str]:
        """Options for helm, with the images that the node has."""
        given = {
            "image.repository": images.OPERATOR.rpartition(":")[0],
            "operands.registry.image.repository": images.REGISTRY.rpartition(":")[0],
        }
        if self.is_own:
            given["operands.mysql.image.repository"], _, given["operands.mysql.image.tag"] = images.MYSQL.rpartition(
                ":"
            )
        return [f"--set-string={key}={value}" for key, value in given.items()]

    def helm(self, *arguments: str) -> str:
        """Raises AssertionError with what it says when it fails."""
        own = {"KUBECONFIG": str(self.kubeconfig), "HOME": str(self.machine.home)}
        done = subprocess.run(
            [tool("helm"), *arguments],
            env={**os.environ, **own},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, f"helm {' '.join(arguments)}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def namespace(self, purpose: str) -> str:
        """A new one, where pods are restricted; its name begins with the purpose."""
        meta = {"generateName": f"{purpose}-", "labels": {ENFORCED: "restricted"}}
        made = {"apiVersion": "v1", "kind": "Namespace", "metadata": meta}
        return self.kubectl("create", "-f", "-", "-o", "name", stdin=json.dumps(made)).strip().partition("/")[2]

    def load(self, archives: Iterable[Path]) -> None:
        """Images as `docker save` writes them."""
        for archive in archives:
            self.ctr("images", "import", "--no-unpack", str(archive))

    def load_pier(self) -> None:
        """Its images as the tree makes them now, by the names that docs/kubernetes.md has."""
        for kind, name in (("registry", images.REGISTRY), ("operator", images.OPERATOR)):
            self.load([built.archive(kind)])
            self.ctr("images", "tag", "--force", f"docker.io/library/pier-{kind}:latest", name)

    def ctr(self, *arguments: str) -> str:
        return self.machine.run("ctr", "--address", node.RUNTIME, "--namespace", "k8s.io", *arguments)

    def logs(self) -> str:
        """The ends of all logs of the machine."""
        places = sorted(self.machine.home.glob("*.log"))
        return "\n".join(f"== {place.name}\n{place.read_text(errors='replace')[-2000:]}" for place in places)

    def _is_ready(self, began: datetime) -> bool:
        """Whether the node has said so since then; the API server knows what it said before, too."""
        if not self.kubeconfig.exists():
            return False
        told = self.kubectl("get", "node", self.machine.name, "-o", "json", check=False)
        with suppress(ValueError):
            conditions: list[dict[str, Any]] = json.loads(told)["status"].get("conditions", [])
            return any(
                each["type"] == "Ready"
                and each["status"] == "True"
                and datetime.fromisoformat(each["lastHeartbeatTime"]) >= began
                for each in conditions
            )
        return False


def made(home: Path | None = None) -> Cluster:
    """A cluster that is off. `home` is made when it is not there yet, and is short."""
    place = home or Path(tempfile.mkdtemp(prefix="pier-node-"))
    place.mkdir(parents=True, exist_ok=True)
    new = Machine(place, machine.free_number())
    return Cluster(new, node.plane(place, new.address))


@contextmanager
def running() -> Iterator[Cluster]:
    """A furnished one until the end of the block. Raises PartMissing."""
    new = made()
    try:
        new.boot()
        new.furnish()
        yield new
    finally:
        new.machine.remove()


def found(home: Path) -> Cluster | None:
    """The cluster that was booted here, if there is one."""
    if not (home / _STATE).exists():
        return None
    state = json.loads((home / _STATE).read_text())
    running = Machine(home, state["number"], state["first"])
    return Cluster(running, node.plane(home, running.address))


@contextmanager
def given(kubeconfig: Path) -> Iterator[Cluster]:
    """An existing cluster, by what the current context of a kubeconfig names. Raises AssertionError when it is none."""
    home = Path(tempfile.mkdtemp(prefix="pier-given-"))
    try:
        existing = Cluster(Machine(home, 0), ControlPlane(home))
        flat = existing.kubectl("config", "view", "--raw", "--flatten", "--minify", f"--kubeconfig={kubeconfig}")
        existing.kubeconfig.write_text(flat)
        existing.kubeconfig.chmod(0o600)
        yield existing
    finally:
        shutil.rmtree(home)
