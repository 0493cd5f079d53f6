"""docs/operations-kubernetes.md, where its lines need a kubelet: backup and restore, larger volumes, logs, sleep."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final

import pytest
import yaml

from pier_operator.api import Manifest
from tests.cluster import cloud, traffic
from tests.cluster.registry import Registry
from tests.cluster.shell import Shell
from tests.house.pages import page
from tests.operator import typed
from tests.operator.cluster import eventually

pytestmark = pytest.mark.any_cluster

_PAGE: Final = "docs/operations-kubernetes.md"
_NAME: Final = "first"
_APP: Final = "team/app"
_KEPT: Final = b"what a backup has to hold" * 4000
_SMALL: Final[Manifest] = {
    "storage": {"persistentVolume": {"size": "1Gi"}},
    "database": {"managed": {"storage": {"size": "1Gi"}}},
}
_line = partial(typed.command, _PAGE)
_lines = partial(typed.block, _PAGE)


@pytest.fixture
def registry(another: Callable[[], Registry]) -> Registry:
    """`first`, as the page has it, on small volumes."""
    made = another()
    made.name = _NAME
    made.create(**_SMALL)
    made.wait()
    return made


@pytest.fixture
def growing(another: Callable[[], Registry]) -> Registry:
    """`first` on volumes that grow in use, which the class of a given cluster's own choice is believed to do."""
    made = another()
    made.name = _NAME
    spec = copy.deepcopy(_SMALL)
    if made.cluster.is_own:
        spec["storage"]["persistentVolume"]["storageClassName"] = cloud.ELASTIC
        spec["database"]["managed"]["storage"]["storageClassName"] = cloud.ELASTIC
    made.create(**spec)
    made.wait()
    return made


@pytest.fixture
def shell(registry: Registry, tmp_path: Path) -> Shell:
    return Shell.at(registry.cluster, registry.namespace, tmp_path)


@pytest.fixture
def elsewhere(registry: Registry) -> Iterator[Registry]:
    """A namespace where nothing is yet."""
    cluster = registry.cluster
    made = Registry(cluster, registry.api, cluster.namespace("restored"), _NAME)
    yield made
    cluster.kubectl("delete", "namespace", made.namespace, "--wait=false")


def _push(shell: Shell, registry: Registry, tag: str, layer: bytes) -> None:
    with shell.forwarded(_NAME) as address, registry.client(address=address) as client:
        for blob in (layer, traffic.CONFIG):
            pushed = client.post(f"/v2/{_APP}/blobs/uploads/?digest={traffic.digest(blob)}", content=blob)
            assert pushed.status_code == 201, pushed.text
        put = client.put(f"/v2/{_APP}/manifests/{tag}", content=traffic.manifest(layer), headers=traffic.FORM)
        assert put.status_code == 201, put.text


def test_a_backup_is_restored_after_its_namespace_is_gone(
    registry: Registry, shell: Shell, elsewhere: Registry
) -> None:
    """With the users, the CA and the images of before."""
    _push(shell, registry, "1", _KEPT)
    password, authority = registry.password(), registry.ca
    for line in _lines("mysqldump"):
        shell.run(line)
    for line in _lines("kubectl delete namespace"):
        shell.run(line)

    shell.enter(elsewhere.namespace)
    (block,) = page(_PAGE).blocks("yaml")
    manifest = yaml.safe_load(block)
    manifest["spec"] |= _SMALL
    (shell.home / "first.yaml").write_text(yaml.safe_dump(manifest))
    for about in ("kubectl apply --filename secrets.yaml", "< pier.sql", '"Active"'):
        for line in _lines(about):
            shell.run(line)

    elsewhere.wait()
    assert (elsewhere.password(), elsewhere.ca) == (password, authority)
    with shell.forwarded(_NAME) as address, elsewhere.client(address=address) as client:
        assert client.get(f"/v2/{_APP}/manifests/1", headers=traffic.ACCEPT).content == traffic.manifest(_KEPT)
        assert client.get(f"/v2/{_APP}/blobs/{traffic.digest(_KEPT)}").content == _KEPT
    shell.run("kubectl exec deployment/first --container registry -- pier fsck --digests")
    elsewhere.wait("UsersActive")
    _push(shell, elsewhere, "2", b"a push after the restore")


def test_a_volume_grows_under_an_upload_that_goes_on(growing: Registry, tmp_path: Path) -> None:
    shell = Shell.at(growing.cluster, growing.namespace, tmp_path)
    look = "kubectl exec deployment/first --container registry -- df --block-size=1 --output=size /data"
    before = int(shell.run(look).split()[-1])
    assert before < 1 << 30
    (pod,) = growing.pods("registry")
    sent = b""
    with shell.forwarded(_NAME) as address, growing.client(address=address) as client:
        place = client.post(f"/v2/{_APP}/blobs/uploads/").headers["location"]
        for line in _lines('"size": "40Gi"'):
            shell.run(line.replace("40Gi", "2Gi").replace("10Gi", "2Gi"))

        def grown() -> bool:
            nonlocal place, sent
            piece = b"x" * 100_000
            span = f"{len(sent)}-{len(sent) + len(piece) - 1}"
            answer = client.patch(place, content=piece, headers={"content-range": span})
            assert answer.status_code == 202, answer.text
            place, sent = answer.headers["location"], sent + piece
            return int(shell.run(look).split()[-1]) > 1 << 30

        eventually(grown, 60, growing.told)
        ended = client.put(place, params={"digest": traffic.digest(sent)})
        assert ended.status_code == 201, ended.text
    eventually(lambda: growing.status["storage"].get("capacity") == "2Gi", 30, growing.told)
    assert [each["metadata"]["uid"] for each in growing.pods("registry")] == [pod["metadata"]["uid"]]


def test_it_sleeps_and_its_data_does_not(registry: Registry, shell: Shell) -> None:
    _push(shell, registry, "1", _KEPT)
    mode = typed.command("docs/kubernetes.md", '"ReadOnly"')
    shell.run(mode.replace("ReadOnly", "Hibernated"))
    registry.wait(status="False", reason="Hibernated")
    eventually(lambda: not shell.run("kubectl get pods --field-selector status.phase=Running --output name"), 90)
    shell.run(mode.replace("ReadOnly", "Active"))
    registry.wait()
    with shell.forwarded(_NAME) as address, registry.client(address=address) as client:
        assert client.get(f"/v2/{_APP}/blobs/{traffic.digest(_KEPT)}").content == _KEPT


def test_every_log_that_it_names_is_one(registry: Registry, shell: Shell) -> None:
    _push(shell, registry, "1", _KEPT)
    named = sorted({span for span in page(_PAGE).spans() if span.startswith("kubectl logs")})
    assert len(named) == 2
    for line in named:
        assert shell.run(line), line
    shown = shell.run("kubectl logs deployment/first --container proxy")
    assert re.search(r'"status": ?"?201', shown), shown[-2000:]
