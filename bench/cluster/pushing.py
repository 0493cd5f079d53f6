"""An image up and down through the Ingress by crane, at Pier and at distribution on the same cluster."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import count
from pathlib import Path
from typing import Final

from bench import layers
from bench.cluster import distribution, field
from bench.cluster.distribution import Distribution
from bench.cluster.field import NAME
from bench.figures import Bound, Row, compared, interleaved
from bench.stage import Bench
from bench.v2 import layout
from tests.clients.client import Client
from tests.clients.programs import CRANE
from tests.cluster.hosts import client_of

LAYERS: Final = 3
SIZE: Final = 100_000_000
_BOUND: Final = Bound("at least", 0.8)
_KEPT: Final = "bench/kept"
_PIER: Final = "Pier"


def measure(bench: Bench) -> Iterator[Row]:
    """Layers are compressed beforehand; a pull writes the whole image to the disk."""
    image = layout.image(LAYERS, SIZE)
    with field.installed(bench) as here, here.ready("pushing") as registry:
        (pod,) = registry.pods("registry")
        with distribution.beside(here, pod, bench.folder / "tls") as other, client_of(CRANE, registry) as client:
            _meet(client, other, here.cluster.front)
            here.write_through(registry.namespace, f"{registry.name}-data")
            here.write_through(other.namespace, distribution.CLAIM)
            crane = Crane(client, image, bench.folder / "pulled")
            measured = _measured(crane, bench.rounds, {_PIER: registry.host, distribution.NAME: other.host})
    for what, bound in (("push", _BOUND), ("pull", None)):
        names = NAME, f"{what} through the Ingress, crane, {LAYERS} layers of {SIZE / 1e6:.0f} MB"
        theirs = distribution.NAME, measured[what, distribution.NAME]
        yield compared(names, "MiB/s", measured[what, _PIER], theirs, bound)


def _measured(crane: Crane, rounds: int, hosts: Mapping[str, str]) -> dict[tuple[str, str], list[float]]:
    """Each subject once before it counts."""
    for host in hosts.values():
        crane.push(host, _KEPT)
    measured: dict[tuple[str, str], list[float]] = {}
    ways: dict[str, Callable[[str], float]] = {"pull": crane.pulled, "push": crane.pushed}
    for what, run in ways.items():
        subjects = {(what, name): partial(run, host) for name, host in hosts.items()}
        interleaved(1, subjects)
        measured |= interleaved(rounds, subjects)
    return measured


class Crane:
    """Rates in MiB/s, of all layers together."""

    def __init__(self, client: Client, image: Path, target: Path) -> None:
        self._client = client
        self._image = image
        self._target = target
        self._mib = layout.size(image) / layers.MIB
        self._numbers = count()

    def pulled(self, host: str) -> float:
        rate = self._run(f"crane pull --format=oci {host}/{_KEPT}:latest {self._target}")
        shutil.rmtree(self._target)
        return rate

    def pushed(self, host: str) -> float:
        """Each time into a new repository, and gone again afterwards."""
        repository = f"bench/pushed{next(self._numbers)}"
        rate = self.push(host, repository)
        self._client.terminal.run(f"crane delete {host}/{repository}@{layout.digest(self._image)}")
        return rate

    def push(self, host: str, repository: str) -> float:
        return self._run(f"crane push {self._image} {host}/{repository}:latest")

    def _run(self, line: str) -> float:
        begin = time.perf_counter()
        self._client.terminal.run(line)
        return self._mib / (time.perf_counter() - begin)


def _meet(client: Client, other: Distribution, front: str) -> None:
    """The host learns of the other's name and CA, and logs in there too."""
    folder = client.terminal.folder
    with (folder / "ca.crt").open("a", encoding="ascii") as trusted:
        trusted.write(other.ca.read_text(encoding="ascii"))
    (folder / "other").write_text(other.password, encoding="ascii")
    client.terminal.run(f"echo {front} {other.host} >> /etc/hosts")
    client.terminal.run(f"crane auth login {other.host} --username {other.user} --password-stdin < other")
