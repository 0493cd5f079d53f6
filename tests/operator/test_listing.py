"""Lists that are long, at a real API server."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Mapping
from typing import Any, cast

import httpx
import pytest

from pier_operator import api
from pier_operator.api import Manifest
from pier_operator.kube import Kube
from tests.parts.control_plane import ControlPlane

_KIND = api.KINDS["ConfigMap"]
_NAMESPACE = "long-lists"
_NAMES = {f"held-{number}" for number in range(250)}


@pytest.fixture(scope="module")
def kube(lonely: ControlPlane) -> Kube:
    """To a namespace that holds more than two pages."""
    kube = Kube.connected(lonely.kubeconfig)
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": _NAMESPACE}}
    kube.request("POST", "/api/v1/namespaces", body=body)
    for name in _NAMES:
        kube.create({"apiVersion": "v1", "kind": _KIND.name, "metadata": {"name": name, "namespace": _NAMESPACE}})
    return kube


class LateKube(Kube):
    """Asks for its first second page as if the list had begun with the cluster."""

    late = True

    def request(self, method: str, target: str, query: Mapping[str, str] | None = None, *rest: Any) -> Manifest:
        following = (query or {}).get("continue")
        if following and self.late:
            self.late = False
            token = json.loads(base64.urlsafe_b64decode(following + "=" * (-len(following) % 4)))
            late = base64.urlsafe_b64encode(json.dumps({**token, "rv": 1}).encode()).decode().rstrip("=")
            query = {**(query or {}), "continue": late}
        return super().request(method, target, query, *rest)


def _forget_the_past(plane: ControlPlane) -> None:
    """Through etcd, which the API server has do so every five minutes."""
    arguments = [str(each) for each in cast("list[str]", plane.processes[0].args)]
    etcd = dict(each.split("=", 1) for each in arguments if "=" in each)
    trusting = ssl.create_default_context(cafile=str(plane.ca))
    trusting.load_cert_chain(etcd["--cert-file"], etcd["--key-file"])
    with httpx.Client(base_url=etcd["--listen-client-urls"], verify=trusting) as client:
        revision = client.post("/v3/kv/range", json={"key": "AA=="}).json()["header"]["revision"]
        client.post("/v3/kv/compaction", json={"revision": revision, "physical": True}).raise_for_status()


def test_a_list_comes_page_by_page(kube: Kube) -> None:
    found = [api.name_of(each) for each in kube.every(_KIND, _NAMESPACE)]
    assert len(found) == len(_NAMES)
    assert set(found) == _NAMES


def test_a_list_whose_begin_the_server_has_forgotten_begins_anew(kube: Kube, lonely: ControlPlane) -> None:
    _forget_the_past(lonely)
    late = LateKube(kube._client)
    found = [api.name_of(each) for each in late.listed(_KIND, _NAMESPACE)]
    assert not late.late
    assert set(found) == _NAMES
    assert len(found) > len(_NAMES)  # the first page came twice
    late.late = True
    assert len(late.every(_KIND, _NAMESPACE)) == len(_NAMES)
