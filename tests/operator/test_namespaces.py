"""An operator that serves some namespaces, with rights in those alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import yaml

from pier_operator import api
from pier_operator.kube import Kube
from tests.operator.cluster import ROOT, SYSTEM, Operator, eventually
from tests.parts.control_plane import ControlPlane

_OURS, _THEIRS = "ours", "theirs"


@pytest.fixture(scope="module")
def narrow(lonely: ControlPlane) -> Iterator[Operator]:
    """Bound by a Role in one namespace, and one for its Lease; nothing cluster-wide."""
    for namespace in (SYSTEM, _OURS, _THEIRS):
        lonely.kubectl("create", "namespace", namespace)
    lonely.kubectl("create", "serviceaccount", "pier-operator", "-n", SYSTEM)
    whole, _, lease, *_nodes = yaml.safe_load_all((ROOT / "operator" / "rbac.yaml").read_text(encoding="utf-8"))
    role = {**whole, "kind": "Role", "metadata": {"name": "pier-operator", "namespace": _OURS}}
    lonely.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all([role, lease]))
    account = f"--serviceaccount={SYSTEM}:pier-operator"
    lonely.kubectl("create", "rolebinding", "a", "-n", _OURS, "--role=pier-operator", account)
    lonely.kubectl("create", "rolebinding", "b", "-n", SYSTEM, "--role=pier-operator-lease", account)
    running = Operator(lonely, "narrow", settings={"PIER_OPERATOR_WATCH_NAMESPACES": _OURS})
    running.start()
    yield running
    running.stop()


def test_it_serves_its_namespace_and_no_other(lonely: ControlPlane, narrow: Operator) -> None:
    kube = Kube.connected(lonely.kubeconfig)
    for namespace in (_THEIRS, _OURS):
        body = {
            "apiVersion": api.PIER_REGISTRY.api_version,
            "kind": api.PIER_REGISTRY.name,
            "metadata": {"name": "pier", "namespace": namespace},
            "spec": {},
        }
        kube.create(body)
    server = api.KINDS["StatefulSet"]
    eventually(lambda: kube.get(server, _OURS, "pier-mysql"), 30, lambda: narrow.log.read_text()[-4000:])
    assert kube.get(server, _THEIRS, "pier-mysql") is None
    deleted = kube.get(api.KINDS["Secret"], _OURS, "pier-pull")
    assert deleted
    kube.delete(deleted)
    eventually(lambda: kube.get(api.KINDS["Secret"], _OURS, "pier-pull"), 10, lambda: narrow.log.read_text()[-4000:])
    assert narrow.asked("/healthz").status_code == 200
