"""SIGKILL to the operator's process in the middle of an installation, and the next one goes on where it was."""

from __future__ import annotations

import random
import signal
from collections.abc import Iterator
from typing import Final

import pytest

from tests.operator.agreement import LASTING, agree, secrets
from tests.operator.cluster import Cluster, Operator, eventually

_CHANCE: Final = random.Random(6)
_POINTS: Final = [(number, _CHANCE.choice(("before", "after"))) for number in _CHANCE.sample(range(1, 51), 10)]
_NAMESPACES: Final = [f"killed-{number}-{moment}" for number, moment in _POINTS]


@pytest.fixture
def stopped(operator: Operator) -> Iterator[Operator]:
    """The operator of the other tests, which works again afterwards."""
    operator.stop()
    yield operator
    if operator.process is None:
        operator.start()
    eventually(operator.is_ready, 30, lambda: operator.log.read_text()[-4000:])


@pytest.fixture
def installing(cluster: Cluster, stopped: Operator) -> Iterator[list[str]]:
    """Namespaces for a registry each."""
    for name in _NAMESPACES:
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        cluster.kube.request("POST", "/api/v1/namespaces", body=body)
    yield _NAMESPACES
    for name in _NAMESPACES:
        cluster.kube.request("DELETE", f"/api/v1/namespaces/{name}", body={"kind": "DeleteOptions", "apiVersion": "v1"})


def test_killed_at_any_request_it_goes_on_and_no_password_is_made_twice(
    cluster: Cluster, stopped: Operator, installing: list[str]
) -> None:
    """Each process is killed at a registry of its own, while it goes on with those of the ones before."""
    seen: dict[str, dict[str, dict[str, str]]] = {namespace: {} for namespace in installing}
    for namespace, (number, moment) in zip(installing, _POINTS, strict=True):
        cluster.create(namespace)
        _let_die(cluster, stopped.identity, namespace, number, moment)
        _are_as_before(cluster, seen)
    stopped.start()
    for namespace in installing:
        cluster.wait_for(namespace, "RegistryAvailable", "Available", within=30)
        agree(cluster.kube, namespace)
    _are_as_before(cluster, seen)
    assert all("previous-password" not in held["pier-db"] for held in seen.values())


def _let_die(cluster: Cluster, identity: str, namespace: str, number: int, moment: str) -> None:
    doomed = Operator(cluster.plane, identity, program=("tests.operator.doomed", namespace, str(number), moment))
    doomed.start()
    assert doomed.process
    try:
        eventually(lambda: doomed.process and doomed.process.poll() is not None, 20, doomed.log.read_text)
        assert doomed.process.returncode == -signal.SIGKILL, doomed.log.read_text()[-4000:]
    finally:
        doomed.stop(signal.SIGKILL)


def _are_as_before(cluster: Cluster, seen: dict[str, dict[str, dict[str, str]]]) -> None:
    """What has been seen once stays; what is new is remembered."""
    for namespace, before in seen.items():
        found = secrets(cluster.kube, namespace)
        now = {name: found[name] for name in LASTING if name in found}
        assert {name: now.get(name) for name in before} == before, namespace
        before.update(now)
