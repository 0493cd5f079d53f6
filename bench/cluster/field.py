"""A cluster of one node, each measurement with its own, and registries on it behind the Ingress."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.client import Unexpected
from bench.stage import Bench
from pier_operator.api import Manifest
from pier_operator.kube import Kube, KubeError
from tests.cluster import cluster as clusters
from tests.cluster.cluster import SYSTEM, Cluster
from tests.cluster.conftest import behind_ingress
from tests.cluster.registry import Registry
from tests.operator.cluster import Api, eventually

NAME: Final = "cluster"
HOST: Final = clusters.HOSTS[0]
_GONE_WITHIN: Final = 180.0  # seconds
_SPARED: Final = 64  # MiB of a volume, so that a registry on it does not find it full
_GROUPS: Final = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Field:
    """`seconds` is what `helm install` took until the operator was ready, with its images on the node."""

    cluster: Cluster
    api: Api
    seconds: float

    @contextmanager
    def registry(self, purpose: str) -> Iterator[Registry]:
        """One to be, in a new namespace; when the block ends, it is deleted, and gone with its volumes."""
        made = Registry(self.cluster, self.api, self.cluster.namespace(purpose))
        try:
            yield made
        finally:
            self.delete(made.namespace)

    def delete(self, namespace: str) -> None:
        """And wait until nothing of it is left, so that the next one finds the names and the node free.

        Pods go first: a namespace with one that may take ten minutes to end is looked at again after five.
        """
        kubectl = self.cluster.kubectl
        kubectl("delete", "pierregistries,deployments", "--all", "-n", namespace, "--wait=false")
        pods = ("get", "pods", "-n", namespace, "-o", "name")
        eventually(lambda: not kubectl(*pods), _GONE_WITHIN, lambda: kubectl(*pods))
        kubectl("delete", "namespace", namespace, "--wait=false")
        left = ("get", "namespace", namespace, "--ignore-not-found", "-o", "yaml")
        eventually(lambda: not kubectl(*left), _GONE_WITHIN, lambda: kubectl(*left))

    @contextmanager
    def ready(self, purpose: str) -> Iterator[Registry]:
        """One that takes requests."""
        with self.registry(purpose) as made:
            made.create(**behind_ingress(HOST))
            made.wait()
            yield made

    def write_through(self, namespace: str, claim: str) -> None:
        """Each block of the volume once: its image is sparse, and the first write to a place has the host find room."""
        held = self.api.get("PersistentVolumeClaim", namespace, claim)
        assert held
        file = f"/var/lib/machine/{held['spec']['volumeName']}/filling"
        count = f"$(($(df --output=avail -B1M {file} | tail -n 1) - {_SPARED}))"
        line = f"touch {file} && dd if=/dev/zero of={file} bs=1M count={count} conv=fsync status=none; rm {file}; sync"
        self.cluster.machine.run("sh", "-euc", line)

    @property
    def operators(self) -> Sequence[Manifest]:
        """The operator's pods."""
        found: list[Manifest] = self.api.kube.request("GET", f"/api/v1/namespaces/{SYSTEM}/pods")["items"]
        return found

    def anonymous(self, pod: Manifest) -> dict[str, int]:
        """Bytes of memory that are the processes' own, by container, as the node's control groups count them."""
        return {each["name"]: _anonymous(self._group(pod, each)) for each in pod["status"]["containerStatuses"]}

    def _group(self, pod: Manifest, container: Manifest) -> Path:
        """Its file of figures, in version 1 of control groups or in version 2."""
        within = f"kubepods/**/pod{pod['metadata']['uid']}/{container['containerID'].rpartition('/')[2]}/memory.stat"
        for top in (_GROUPS / "memory", _GROUPS):
            for found in (top / self.cluster.machine.name).glob(within):
                return found
        raise Unexpected(f"the node has no control group of container {container['name']}")


@contextmanager
def installed(bench: Bench) -> Iterator[Field]:
    """With the operator, as its chart comes. Raises Unexpected for what has not come to be, PartMissing."""
    cluster = clusters.made(bench.folder / "node")
    try:
        cluster.boot()
        cluster.furnish()
        begin = time.monotonic()
        cluster.install("pier")
        seconds = time.monotonic() - begin
        yield Field(cluster, Api(cluster.plane, Kube.connected(cluster.kubeconfig)), seconds)
    except (AssertionError, KubeError) as wrong:
        raise Unexpected(str(wrong)) from wrong
    finally:
        cluster.machine.remove()


def _anonymous(figures: Path) -> int:
    told = dict(line.split() for line in figures.read_text(encoding="ascii").splitlines())
    return int(told["total_rss"] if "total_rss" in told else told["anon"])
