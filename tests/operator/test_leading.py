"""One operator works at a time; one that hangs is found out; and none may do more than it needs."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator

import pytest

from pier_operator import api, work
from pier_operator.cache import Cache
from pier_operator.chance import SystemChance
from pier_operator.queue import Queue
from pier_operator.reconcile import Reconciler
from pier_operator.settings import Misconfigured, Settings
from tests.operator.cluster import SYSTEM, Cluster, Operator, eventually


@pytest.fixture
def standby(cluster: Cluster, operator: Operator) -> Iterator[Operator]:
    """A second operator, which waits."""
    second = Operator(cluster.plane, "second")
    second.start()
    eventually(lambda: "pier.lease" in second.log.read_text() or second.process, 20)
    yield second
    second.stop()


def _holder(cluster: Cluster) -> str:
    found = cluster.kube.get(api.LEASES, SYSTEM, "pier-operator")
    return str(found["spec"]["holderIdentity"]) if found else ""


@pytest.mark.alone
def test_the_next_one_takes_over_when_one_is_killed_and_when_one_ends(
    cluster: Cluster, operator: Operator, standby: Operator, namespace: str
) -> None:
    assert _holder(cluster) == "first"
    time.sleep(2)
    assert _holder(cluster) == "first"
    operator.stop(signal.SIGKILL)
    cluster.create(namespace)
    began = time.monotonic()
    eventually(lambda: _holder(cluster) == "second", 20)
    assert time.monotonic() - began < 12
    cluster.wait_for(namespace, "RegistryAvailable", "Available", within=30)
    operator.start()
    time.sleep(2)
    assert _holder(cluster) == "second"
    began = time.monotonic()
    assert standby.stop() == 0
    eventually(lambda: _holder(cluster) == "first", 10)
    assert time.monotonic() - began < 6
    passwords = cluster.secret(namespace, "pier-admin")
    cluster.delete("Service", namespace, "pier")
    eventually(lambda: cluster.get("Service", namespace, "pier"))
    assert cluster.secret(namespace, "pier-admin") == passwords


def test_probes_and_metrics_are_there(operator: Operator) -> None:
    eventually(lambda: operator.asked("/readyz").status_code == 200)
    assert operator.asked("/healthz").text == "ok\n"
    assert operator.metric("pier_operator_leading") == 1
    assert operator.asked("/nothing").status_code == 404


def test_a_hung_worker_is_told() -> None:
    now = [0.0]
    queue = Queue(lambda: now[0])
    workers = work.Workers(_reconciler(), queue, 1)
    queue.add(("team", "pier"))
    assert queue.take() == ("team", "pier")
    now[0] = work.HUNG - 1
    assert workers.trouble() == ""
    now[0] = work.HUNG + 1
    assert workers.trouble() == "a worker hangs"
    queue.done(("team", "pier"))
    assert workers.trouble() == ""


def test_a_worker_that_ends_is_told() -> None:
    queue = Queue()
    workers = work.Workers(_reconciler(), queue, 1)
    workers._work = lambda: None  # type: ignore[method-assign]
    workers._threads = [threading.Thread(target=workers._work)]
    workers.start()
    eventually(lambda: workers.trouble() == "a worker has ended", 5)


def _reconciler() -> Reconciler:
    """Never asked: these tests look at the workers alone."""
    return Reconciler(None, Cache(), Settings(), SystemChance())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "what",
    [
        ("delete", "pierregistries"),
        ("update", "pierregistries"),
        ("delete", "pods"),
        ("create", "pods"),
        ("get", "nodes"),
        ("delete", "namespaces"),
        ("create", "clusterroles"),
        ("update", "secrets"),
        ("create", "pods/exec"),
    ],
    ids=" ".join,
)
def test_the_operator_may_not(cluster: Cluster, what: tuple[str, str]) -> None:
    user = f"--as=system:serviceaccount:{SYSTEM}:pier-operator"
    assert cluster.plane.kubectl("auth", "can-i", *what, "-A", user, check=False).strip().endswith("no")


def test_a_setting_that_is_none_is_refused() -> None:
    with pytest.raises(Misconfigured, match="PIER_OPERATOR_WORKRES is not a setting"):
        Settings.load({"PIER_OPERATOR_WORKRES": "1"})
    with pytest.raises(Misconfigured, match="takes a whole number"):
        Settings.load({"PIER_OPERATOR_WORKERS": "many"})
    loaded = Settings.load({"PIER_OPERATOR_WATCH_NAMESPACES": "a, b", "PIER_OPERATOR_REGISTRY_USER": "", "HOME": "/"})
    assert (loaded.watch_namespaces, loaded.registry_user) == (("a", "b"), None)
