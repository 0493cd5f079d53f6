"""What node trust takes beside an operator: what the chart makes, agents with a kubelet, and a load balancer."""

from __future__ import annotations

import os
import select
import signal
import socket
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import yaml

from pier_operator import api
from pier_operator.api import Manifest
from pier_operator.kube import Kube, KubeError
from pier_operator.observed import decoded
from tests.chart.rendering import manifests, rendered
from tests.nodes.node import Node, mount
from tests.operator.cluster import ROOT, SYSTEM
from tests.parts.control_plane import ControlPlane

NAME: Final = "pier-operator-nodes"
# A loopback address that no Service has, and no other run.
BALANCER: Final = f"127.98.{os.getpid() // 250 % 250}.{os.getpid() % 250 + 1}"
ALLOWED: Final = (BALANCER, "*.team.example.org")


def install(plane: ControlPlane, namespace: str) -> None:
    """What the chart makes for an operator of this namespace, but for workloads."""
    values = {"watchNamespaces": [namespace], "nodeTrust": {"allowedHosts": list(ALLOWED)}}
    made = [each for each in manifests(rendered(values)) if each["kind"] not in {"Deployment", "DaemonSet", "Pod"}]
    plane.kubectl("apply", "--filename=-", stdin=yaml.safe_dump_all(made))
    plane.establish("pierregistries.registry.pier.dev")


@dataclass(slots=True)
class Agent:
    """`python -m pier_operator.nodes` with the rights of its service account, and a kubelet that mounts its Secret."""

    plane: ControlPlane
    kube: Kube
    name: str
    node: Node
    process: subprocess.Popen[bytes] | None = None
    _ended: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    @property
    def log(self) -> Path:
        return self.plane.home / f"agent-{self.name}.log"

    @property
    def pod(self) -> Manifest | None:
        return self.kube.get(api.POD, SYSTEM, f"agent-{self.name}")

    def start(self) -> None:
        if self.pod is None:
            self.bind()
        self._thread = threading.Thread(target=self._mount, name="kubelet", daemon=True)
        self._thread.start()
        command = [sys.executable, "-m", "pier_operator.nodes"]
        command += [f"--node={self.name}", f"--namespace={SYSTEM}", f"--name={NAME}", f"--claims={self.node.claims}"]
        command += [f"--containerd={self.node.containerd}", f"--docker={self.node.docker}"]
        command += [f"--allow={each}" for each in ALLOWED]
        environment = {**os.environ, "KUBECONFIG": str(self.plane.as_service_account(SYSTEM, NAME))}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)

    def stop(self) -> int:
        self._ended.set()
        if self._thread:
            self._thread.join(timeout=30)
        if self.process is None:
            return 0
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()
        finally:
            self.process = None

    def bind(self) -> None:
        """As the DaemonSet's controller would make it."""
        meta = {"name": f"agent-{self.name}", "namespace": SYSTEM, "labels": {api.AGENT: NAME}}
        spec = {"nodeName": self.name, "containers": [{"name": "agent", "image": "agent"}]}
        self.kube.create({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec})

    def unbind(self) -> None:
        """As when the node leaves the cluster."""
        body = {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0}
        self.kube.request("DELETE", f"/api/v1/namespaces/{SYSTEM}/pods/agent-{self.name}", body=body)

    def _mount(self) -> None:
        """At first, and when the pod has changed; a kubelet's next look of its own is a minute away."""
        seen = None
        while not self._ended.wait(0.1):
            try:
                pod, secret = self.pod, self.kube.get(api.KINDS["Secret"], SYSTEM, NAME)
            except KubeError:
                continue
            if pod and secret and api.annotations_of(pod) != seen:
                mount(self.node.claims, decoded(secret))
                seen = api.annotations_of(pod)


@contextmanager
def balanced(address: str) -> Iterator[None]:
    """What comes to the balancer's port 443 goes to that of this address."""
    with _Balancer((BALANCER, 443), _Connection) as server:
        server.address = address
        thread = threading.Thread(target=server.serve_forever, name="balancer", daemon=True)
        thread.start()
        yield
        server.shutdown()
        thread.join(timeout=10)


class _Balancer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    address = ""


class _Connection(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, _Balancer)
        try:
            with socket.create_connection((self.server.address, 443), timeout=10) as outer:
                self._join(self.request, outer)
        except OSError:
            return  # as a balancer does when nobody is behind it

    def _join(self, inner: socket.socket, outer: socket.socket) -> None:
        others = {inner: outer, outer: inner}
        while True:
            for source in select.select([inner, outer], [], [], 30)[0]:
                piece = source.recv(65536)
                if not piece:
                    return
                others[source].sendall(piece)
