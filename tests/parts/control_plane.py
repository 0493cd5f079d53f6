"""A Kubernetes control plane on this host: etcd, API server and controller manager, with certificates of their own.

By itself without node and scheduler: pods are stored and never run. Addresses of Services then lie in 127.96.0.0/16,
so that a test can listen on one.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.parts.certificates import Authority, Pair
from tests.parts.kubernetes_programs import program
from tests.parts.ports import free_port

READY_WITHIN: Final = 60.0
# Each takes a moment to start, so only what gives life to what a test makes.
CONTROLLERS: Final = (
    "serviceaccount-controller",
    "garbage-collector-controller",
    "namespace-controller",
    "deployment-controller",
    "replicaset-controller",
    "statefulset-controller",
    "job-controller",
    "persistentvolume-binder-controller",
    "persistentvolumeclaim-protection-controller",
    "endpointslice-controller",
    "disruption-controller",
)


@dataclass(slots=True)
class ControlPlane:
    """`kubeconfig` is an admin's. All files lie below `home`, and a second start goes on with what is there.

    Only the named `controllers` act. `names` are more names of the API server, `api_flags` more flags, of which the
    last counts.
    """

    home: Path
    controllers: tuple[str, ...] = CONTROLLERS
    port: int = field(default_factory=free_port)
    address: str = "127.0.0.1"
    names: tuple[str, ...] = ()
    api_flags: tuple[str, ...] = ()
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"https://{self.address}:{self.port}"

    @property
    def kubeconfig(self) -> Path:
        return self.home / "admin.kubeconfig"

    @property
    def ca(self) -> Path:
        return self.home / "tls" / "ca.crt"

    @property
    def authority(self) -> Authority:
        return Authority(self.home / "tls")

    def kubectl(self, *arguments: str, stdin: str | None = None, check: bool = True) -> str:
        """What it prints. Raises AssertionError with what it says when it fails; without `check`, returns that too."""
        done = subprocess.run(
            [program("kubectl"), f"--kubeconfig={self.kubeconfig}", *arguments],
            input=stdin,
            env={**os.environ, "HOME": str(self.home)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(f"kubectl {' '.join(arguments)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout if check else done.stdout + done.stderr

    def establish(self, kind: str) -> None:
        """Wait until the API server serves this kind, by the name of its definition, which may be quite new."""
        asked = ("get", "crd", kind, "-o", 'jsonpath={.status.conditions[?(@.type=="Established")].status}')
        deadline = time.monotonic() + READY_WITHIN
        while (told := self.kubectl(*asked, check=False).strip()) != "True":
            if time.monotonic() > deadline:
                raise AssertionError(f"{kind} is not established: {told}")
            time.sleep(0.1)

    def as_service_account(self, namespace: str, name: str) -> Path:
        """A kubeconfig with a token of this service account."""
        token = self.kubectl("create", "token", name, "-n", namespace, "--duration=3h").strip()
        place = self.home / f"{namespace}-{name}.kubeconfig"
        self._write_kubeconfig(place, {"token": token})
        return place

    def as_user(self, name: str, groups: str = "") -> Path:
        """A kubeconfig with a certificate of this user."""
        place = self.home / f"{name.replace(':', '-')}.kubeconfig"
        self._write_kubeconfig(place, _files(self.authority.issue(place.stem, name, groups=groups)))
        return place

    def __enter__(self) -> ControlPlane:
        authority = self.authority
        etcd_port = free_port()
        store = authority.issue("etcd", "etcd", names=("127.0.0.1",))
        self.start("etcd", *_etcd(self.home, etcd_port, free_port(), store, authority.pair.certificate))
        self.start("kube-apiserver", *self._api_server(authority, etcd_port, store), *self.api_flags)
        self.as_user("admin", groups="system:masters")
        self._wait_until_ready(authority.issue("admin", "admin"))
        if self.controllers:
            self.start("kube-controller-manager", *self._controller_manager())
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self.processes):
            process.send_signal(signal.SIGTERM)
        for process in reversed(self.processes):
            try:
                process.wait(timeout=3)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def start(self, name: str, *arguments: str) -> None:
        """A program of Kubernetes that ends with the control plane; its log lies beside the others."""
        with (self.home / f"{name}.log").open("ab") as log:
            command = [str(program(name)), *arguments]
            self.processes.append(subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=self.home))

    def _api_server(self, authority: Authority, etcd_port: int, store: Pair) -> list[str]:
        names = {"127.0.0.1", "localhost", "kubernetes.default", self.address, *self.names}
        serving = authority.issue("apiserver", "kube-apiserver", names=tuple(sorted(names)))
        accounts = authority.issue("accounts", "service accounts")
        return [
            f"--etcd-servers=https://127.0.0.1:{etcd_port}",
            f"--etcd-cafile={self.ca}",
            f"--etcd-certfile={store.certificate}",
            f"--etcd-keyfile={store.key}",
            f"--bind-address={self.address}",
            f"--secure-port={self.port}",
            "--advertise-address=192.0.2.1",
            "--endpoint-reconciler-type=none",
            "--service-cluster-ip-range=127.96.0.0/16",
            f"--tls-cert-file={serving.certificate}",
            f"--tls-private-key-file={serving.key}",
            f"--client-ca-file={self.ca}",
            f"--service-account-key-file={accounts.certificate}",
            f"--service-account-signing-key-file={accounts.key}",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--authorization-mode=RBAC",
            "--anonymous-auth=false",
            "--profiling=false",
        ]

    def _controller_manager(self) -> list[str]:
        account = self.home / "tls" / "accounts.key"
        return [
            f"--kubeconfig={self.as_user('system:kube-controller-manager')}",
            f"--service-account-private-key-file={account}",
            f"--root-ca-file={self.ca}",
            "--use-service-account-credentials",
            f"--controllers={','.join(self.controllers)}",
            "--bind-address=127.0.0.1",
            f"--secure-port={free_port()}",
            f"--cert-dir={self.home / 'manager'}",
            "--leader-elect=false",
            "--min-resync-period=10m",
            "--pvclaimbinder-sync-period=1s",
        ]

    def _wait_until_ready(self, admin: Pair) -> None:
        trusting = ssl.create_default_context(cafile=str(self.ca))
        trusting.load_cert_chain(admin.certificate, admin.key)
        deadline = time.monotonic() + READY_WITHIN
        while not _is_ready(f"{self.url}/readyz", trusting):
            fallen = [process.args for process in self.processes if process.poll() is not None]
            if fallen or time.monotonic() > deadline:
                logs = "".join(path.read_text()[-3000:] for path in self.home.glob("*.log"))
                raise AssertionError(f"the control plane did not start: {fallen}\n{logs}")
            time.sleep(0.1)

    def _write_kubeconfig(self, place: Path, user: dict[str, str]) -> None:
        held: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": {"server": self.url, "certificate-authority": str(self.ca)}}],
            "users": [{"name": "test", "user": user}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            "current-context": "test",
        }
        place.write_text(json.dumps(held), encoding="utf-8")
        place.chmod(0o600)


@contextmanager
def running(*, controllers: bool = True) -> Iterator[ControlPlane]:
    """A control plane until the end of the block, at will without any of the `controllers`. Raises PartMissing."""
    home = Path(tempfile.mkdtemp(prefix="pier-control-plane-"))
    plane = ControlPlane(home, CONTROLLERS if controllers else ())
    try:
        try:
            yield plane.__enter__()
        finally:
            plane.__exit__()
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _etcd(home: Path, port: int, peers: int, store: Pair, ca: Path) -> list[str]:
    return [
        f"--data-dir={home / 'etcd'}",
        f"--listen-client-urls=https://127.0.0.1:{port}",
        f"--advertise-client-urls=https://127.0.0.1:{port}",
        f"--listen-peer-urls=https://127.0.0.1:{peers}",
        f"--initial-advertise-peer-urls=https://127.0.0.1:{peers}",
        f"--initial-cluster=default=https://127.0.0.1:{peers}",
        f"--peer-cert-file={store.certificate}",
        f"--peer-key-file={store.key}",
        "--peer-client-cert-auth",
        f"--peer-trusted-ca-file={ca}",
        f"--cert-file={store.certificate}",
        f"--key-file={store.key}",
        "--client-cert-auth",
        f"--trusted-ca-file={ca}",
        "--unsafe-no-fsync",
    ]


def _is_ready(url: str, trusting: ssl.SSLContext) -> bool:
    try:
        with urllib.request.urlopen(url, context=trusting, timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _files(pair: Pair) -> dict[str, str]:
    return {"client-certificate": str(pair.certificate), "client-key": str(pair.key)}
