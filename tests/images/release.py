"""A release of the chart at a real API server, whose operator Docker runs with what the kubelet would give it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from charts.generate import CHART
from tests.chart.rendering import Manifest, Values, helm, of_kind, operator
from tests.images.container import HARDENED, new_name
from tests.parts.control_plane import ControlPlane
from tests.parts.docker_engine import DockerEngine
from tests.parts.ports import free_port

IMAGE: Final = "pier-operator"
_MOUNT: Final = "/var/run/secrets/kubernetes.io/serviceaccount"


@dataclass(frozen=True, slots=True)
class Running:
    """An operator at work."""

    engine: DockerEngine
    name: str
    url: str

    @property
    def log(self) -> str:
        done = self.engine.attempt("logs", self.name)
        return done.stdout + done.stderr

    def leads(self) -> bool:
        try:
            return "pier_operator_leading 1.0" in httpx.get(f"{self.url}/metrics", timeout=5).text
        except httpx.TransportError:
            return False


@dataclass(frozen=True, slots=True)
class Release:
    """`text` is what it holds, by Helm's own word; `account` a folder with token and CA of its service account."""

    engine: DockerEngine
    plane: ControlPlane
    namespace: str
    text: str
    account: Path

    @classmethod
    def install(
        cls, engine: DockerEngine, plane: ControlPlane, namespace: str, values: Values, folder: Path
    ) -> Release:
        at = (f"--kubeconfig={plane.kubeconfig}", f"--namespace={namespace}")
        helm("install", "pier", str(CHART), *at, "--create-namespace", values=values)
        plane.establish("pierregistries.registry.pier.dev")
        text = helm("get", "manifest", "pier", *at) + "---\n" + helm("get", "hooks", "pier", *at)
        token = plane.kubectl(
            "create", "token", operator(text)["spec"]["serviceAccountName"], f"-n={namespace}"
        ).strip()
        for file, content in (("token", token), ("ca.crt", plane.ca.read_text()), ("namespace", namespace)):
            (folder / file).write_text(content)
        folder.chmod(0o755)
        return cls(engine, plane, namespace, text, folder)

    def as_in_the_pod(self) -> list[str]:
        where = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(self.plane.port)}
        given = [f"--env={name}={value}" for name, value in where.items()]
        return [*HARDENED, "--network=host", f"--volume={self.account}:{_MOUNT}:ro", *given]

    @contextmanager
    def running(self) -> Iterator[Running]:
        """The port is the only setting that is not the chart's: this host has one network."""
        port = free_port()
        made = Running(self.engine, new_name(), f"http://127.0.0.1:{port}")
        settings = [*self._environment(made.name), f"--env=PIER_OPERATOR_PORT={port}"]
        self.plane.kubectl("delete", "leases", "--all", f"--namespace={self.namespace}")  # of one that was killed
        self.engine.run("run", "--detach", f"--name={made.name}", *self.as_in_the_pod(), *settings, IMAGE)
        try:
            wait(made.leads, lambda: made.log)
            yield made
        finally:
            self.engine.attempt("rm", "--force", made.name)

    def test(self, url: str) -> list[str]:
        """Of `docker run`, for the pod of `helm test`."""
        (pod,) = of_kind(self.text, "Pod")
        (container,) = pod["spec"]["containers"]
        (first, *command), (script, _, *namespaces) = container["command"], container["args"]
        return ["--rm", *self.as_in_the_pod(), "--entrypoint", first, IMAGE, *command, script, url, *namespaces]

    def _environment(self, identity: str) -> list[str]:
        fields = {"metadata.namespace": self.namespace, "metadata.name": identity}
        (container,) = operator(self.text)["spec"]["containers"]
        return [f"--env={each['name']}={_value(each, fields)}" for each in container["env"]]


def _value(variable: Manifest, fields: dict[str, str]) -> str:
    if "value" in variable:
        return str(variable["value"])
    return fields[variable["valueFrom"]["fieldRef"]["fieldPath"]]


def wait(done: Callable[[], object], told: Callable[[], object], seconds: float = 60) -> None:
    """Raises AssertionError, with what is told, when it is not done in time."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, told()
        time.sleep(0.2)
