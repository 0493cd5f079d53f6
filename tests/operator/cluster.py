"""What the tests say to the cluster, in a person's words."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx

from pier_operator import api
from pier_operator.api import Manifest
from pier_operator.kube import Kube
from tests.operator.node import Node
from tests.parts.control_plane import ControlPlane
from tests.parts.ports import free_port

ROOT: Final = Path(__file__).resolve().parents[2]
SYSTEM: Final = "pier-system"
ACCOUNT: Final = "pier-operator"
# What registry `pier` has before its database is ready.
UNGATED: Final = {
    ("Secret", "pier-admin"), ("Secret", "pier-users"), ("Secret", "pier-users-file"), ("Secret", "pier-pull"),
    ("Secret", "pier-ca"), ("Secret", "pier-tls"), ("ConfigMap", "pier-ca"),
    ("Secret", "pier-db"), ("Secret", "pier-db-init"), ("Secret", "pier-db-tls"), ("Secret", "pier-db-url"),
    ("Service", "pier"), ("Service", "pier-metrics"), ("Service", "pier-mysql"), ("ServiceAccount", "pier"),
    ("PersistentVolumeClaim", "pier-data"), ("PersistentVolumeClaim", "pier-mysql"), ("StatefulSet", "pier-mysql"),
    ("NetworkPolicy", "pier"), ("NetworkPolicy", "pier-mysql"),
}  # fmt: skip
Found = TypeVar("Found")


@dataclass(slots=True)
class Api:
    """A control plane with Pier's API. `kube` is an admin's."""

    plane: ControlPlane
    kube: Kube

    def create(self, namespace: str, name: str = "pier", spec: Manifest | None = None, **meta: Any) -> Manifest:
        body = {
            "apiVersion": api.PIER_REGISTRY.api_version,
            "kind": api.PIER_REGISTRY.name,
            "metadata": {"name": name, "namespace": namespace, **meta},
            "spec": spec or {},
        }
        return self.kube.create(body)

    def change(self, namespace: str, name: str = "pier", **body: Any) -> Manifest:
        """A merge patch of the resource: `spec=...`, `metadata=...`."""
        target = f"/apis/{api.PIER_REGISTRY.api_version}/namespaces/{namespace}/pierregistries/{name}"
        return self.kube.request("PATCH", target, body=body, form="application/merge-patch+json")

    def delete(self, kind: str, namespace: str, name: str) -> None:
        found = self.get(kind, namespace, name)
        if found:
            body = {"propagationPolicy": "Background", "kind": "DeleteOptions", "apiVersion": "v1"}
            plural = api.KINDS[kind]
            target = f"{_root(plural)}/namespaces/{namespace}/{plural.plural}/{name}"
            self.kube.request("DELETE", target, body=body)

    def get(self, kind: str, namespace: str, name: str = "pier") -> Manifest | None:
        return self.kube.get(api.KINDS[kind], namespace, name)

    def patch(self, kind: str, namespace: str, name: str, body: Manifest) -> Manifest:
        plural = api.KINDS[kind]
        target = f"{_root(plural)}/namespaces/{namespace}/{plural.plural}/{name}"
        return self.kube.request("PATCH", target, body=body, form="application/merge-patch+json")

    def secret(self, namespace: str, name: str) -> dict[str, str]:
        found = self.get("Secret", namespace, name)
        assert found, f"there is no Secret {namespace}/{name}"
        return {key: base64.b64decode(value).decode() for key, value in (found.get("data") or {}).items()}

    def make_secret(self, namespace: str, name: str, **texts: str) -> Manifest:
        data = {key.replace("__", "."): base64.b64encode(text.encode()).decode() for key, text in texts.items()}
        meta = {"name": name, "namespace": namespace}
        return self.kube.create({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": data})

    def children(self, namespace: str) -> dict[tuple[str, str], Manifest]:
        """Everything that carries the operator's label, but pods."""
        return {
            (kind.name, api.name_of(each)): each
            for kind in api.BUILT_IN
            for each in self.kube.every(kind, namespace, api.REGISTRY)
        }

    def condition(self, namespace: str, kind: str, name: str = "pier") -> Manifest:
        """Empty while there is none."""
        found = self.get("PierRegistry", namespace, name)
        conditions = ((found or {}).get("status") or {}).get("conditions", [])
        return next((each for each in conditions if each["type"] == kind), {})

    def wait_for(self, namespace: str, kind: str, reason: str, within: float = 20) -> Manifest:
        """Until a condition has this reason."""

        def look() -> Manifest | None:
            found = self.condition(namespace, kind)
            return found if found.get("reason") == reason else None

        return eventually(look, within, lambda: json.dumps(self.get("PierRegistry", namespace), indent=1))

    def client(self, namespace: str, user: str, password: str, name: str = "pier") -> httpx.Client:
        """To the registry's Service, trusting what the operator has published and nothing else."""
        service, authority = self.get("Service", namespace, name), self.get("ConfigMap", namespace, f"{name}-ca")
        assert service
        assert authority
        trusting = ssl.create_default_context(cadata=authority["data"]["ca.crt"])
        host = f"{name}.{namespace}.svc"

        def named(request: httpx.Request) -> None:
            request.extensions["sni_hostname"] = host

        return httpx.Client(
            base_url=f"https://{service['spec']['clusterIP']}",
            headers={"Host": host},
            auth=(user, password),
            verify=trusting,
            timeout=20,
            event_hooks={"request": [named]},
        )


@dataclass(slots=True)
class Cluster(Api):
    """And a node, as far as a registry needs one."""

    node: Node


@dataclass(slots=True)
class Operator:
    """`python -m pier_operator` with the rights of its service account; another `program` is a module and arguments."""

    plane: ControlPlane
    identity: str = "first"
    port: int = field(default_factory=free_port)
    settings: dict[str, str] = field(default_factory=dict)
    program: tuple[str, ...] = ("pier_operator",)
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        return self.plane.home / f"operator-{self.identity}.log"

    def start(self) -> None:
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("PIER_")}
        environment = {
            "KUBECONFIG": str(self.plane.as_service_account(SYSTEM, ACCOUNT)),
            "PIER_OPERATOR_PORT": str(self.port),
            "PIER_OPERATOR_IDENTITY": self.identity,
            "PIER_OPERATOR_LEASE": "6",
            **self.settings,
        }
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *self.program],
                env=inherited | environment,
                cwd=ROOT,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        if self.process is None:
            return 0
        self.process.send_signal(number)
        try:
            return self.process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()
        finally:
            self.process = None

    def is_ready(self) -> bool:
        """Whether it watches."""
        with contextlib.suppress(httpx.TransportError):
            return self.asked("/readyz").status_code == 200
        return False

    def asked(self, path: str) -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{self.port}{path}", timeout=5)

    def metric(self, name: str) -> float:
        """The sum over all labels."""
        lines = self.asked("/metrics").text.splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.partition("{")[0].split(" ")[0] == name)

    def told_ready(self, namespace: str) -> str:
        """The gauge of this namespace's registry, which the chart's alarm looks at; empty when it is not told."""
        lines = self.asked("/metrics").text.splitlines()
        gauges = [line for line in lines if line.startswith("pier_operator_registry_ready{")]
        return next((line.rsplit(" ", 1)[1] for line in gauges if f'namespace="{namespace}"' in line), "")

    def writes(self) -> float:
        """Requests that change something, the Lease's own renewals left out."""
        return self.metric("pier_operator_writes_total")


@contextmanager
def with_pier(plane: ControlPlane) -> Iterator[Cluster]:
    """A running control plane gets Pier's API and the operator's account, with the rights of rbac.yaml and no others.

    The node plays no kubelet until it is started.
    """
    with_api(plane)
    plane.kubectl("create", "namespace", SYSTEM)
    plane.kubectl("create", "serviceaccount", ACCOUNT, "-n", SYSTEM)
    plane.kubectl("apply", "-f", str(ROOT / "operator" / "rbac.yaml"))
    account = f"--serviceaccount={SYSTEM}:{ACCOUNT}"
    for role in ("pier-operator", "pier-operator-cluster"):
        plane.kubectl("create", "clusterrolebinding", role, f"--clusterrole={role}", account)
    plane.kubectl("create", "rolebinding", "lease", "-n", SYSTEM, "--role=pier-operator-lease", account)
    kube = Kube.connected(plane.kubeconfig)
    node = Node(kube)
    try:
        yield Cluster(plane, kube, node)
    finally:
        node.stop()


def with_api(plane: ControlPlane) -> None:
    """Pier's API, until the server takes its resources."""
    plane.kubectl("apply", "-f", str(ROOT / "crds"))
    name = f"{api.PIER_REGISTRY.plural}.{api.PIER_REGISTRY.group}"
    plane.establish(name)


def eventually(look: Callable[[], Found | None], within: float = 20, told: Callable[[], str] = lambda: "") -> Found:
    """What `look` returns as soon as it is something. Raises AssertionError when that takes too long."""
    deadline = time.monotonic() + within
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within} s: {told()}")
        time.sleep(0.05)


def _root(kind: api.Kind) -> str:
    return f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
