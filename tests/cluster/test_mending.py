"""What people get wrong: the resource's conditions say what to mend, and the registry comes up once it is mended."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pier_operator.api import Manifest
from tests.cluster import cloud, images
from tests.cluster.registry import Registry
from tests.operator.cluster import eventually
from tests.parts import mariadb
from tests.parts.certificates import Authority
from tests.parts.database import USER, DatabaseServer

_SMALL: Manifest = {"persistentVolume": {"size": "1Gi"}}


@pytest.fixture
def registry(another: Callable[[], Registry]) -> Registry:
    return another()


def _told(registry: Registry, kind: str, *words: str) -> None:
    """A condition that is not true says all of this."""

    def look() -> bool:
        found = registry.condition(kind)
        return found.get("status") == "False" and all(word in found["message"] for word in words)

    eventually(look, 90, registry.told)
    assert registry.condition("Ready")["status"] == "False"


def test_a_storage_class_that_is_not_there(registry: Registry) -> None:
    name = f"fast-{registry.namespace}"
    registry.create(storage={"persistentVolume": {"size": "1Gi", "storageClassName": name}})
    _told(registry, "StorageReady", "pier-data", f"StorageClass {name}")
    offered = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name},
        "provisioner": cloud.PROVISIONER,
    }
    registry.cluster.kubectl("apply", "-f", "-", stdin=json.dumps(offered))
    registry.wait()
    registry.cluster.kubectl("delete", "storageclass", name)


def test_an_image_that_is_not_there(registry: Registry) -> None:
    registry.create(storage=_SMALL, database={"managed": {"image": "pier-test/none:1"}})
    _told(registry, "DatabaseReady", "pier-mysql-0", "pier-test/none:1")
    registry.change(database={"managed": {"image": images.MYSQL}})
    registry.wait()


def test_a_secret_that_is_not_there(registry: Registry) -> None:
    registry.create(storage=_SMALL, auth={"users": [{"name": "bob", "passwordSecretRef": {"name": "bobs"}}]})
    _told(registry, "CredentialsReady", "bob", "Secret bobs")
    registry.api.make_secret(registry.namespace, "bobs", password="a good password")
    registry.wait()


def test_a_host_with_a_port_and_a_name_that_is_too_long(registry: Registry) -> None:
    """Said at once, by the API server."""
    for name, spec, told in (
        ("pier", {"host": "registry.example.org:5000"}, "without a port"),
        ("p" * 41, {}, "at most 40"),
    ):
        resource = {
            "apiVersion": "registry.pier.dev/v1alpha1",
            "kind": "PierRegistry",
            "metadata": {"name": name, "namespace": registry.namespace},
            "spec": spec,
        }
        assert told in registry.cluster.kubectl("apply", "-f", "-", stdin=json.dumps(resource), check=False)


def test_a_certificate_that_has_expired(registry: Registry, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    names = (f"pier.{registry.namespace}.svc", "pier", f"pier.{registry.namespace}")
    ended = authority.issue("ended", "pier", names=names, ends=datetime.now(UTC) - timedelta(days=1))
    good = authority.issue("good", "pier", names=names)
    texts = {"tls__crt": ended.certificate.read_text(), "tls__key": ended.key.read_text()}
    registry.api.make_secret(registry.namespace, "own", ca__crt=authority.pair.certificate.read_text(), **texts)
    registry.create(storage=_SMALL, tls={"source": "Secret", "secretName": "own"})
    _told(registry, "CertificateReady", "Secret own", "ended")
    files = {"tls.crt": good.certificate, "tls.key": good.key}
    mended = {key: base64.b64encode(place.read_bytes()).decode() for key, place in files.items()}
    registry.api.patch("Secret", registry.namespace, "own", {"data": mended})
    registry.cluster.kubectl("label", "secret", "own", "-n", registry.namespace, "registry.pier.dev/registry=pier")
    registry.wait()


@pytest.fixture
def outside() -> Iterator[DatabaseServer]:
    """A database that does not belong to the cluster, at the address that its machine knows of this host."""
    with mariadb.running("--bind-address=0.0.0.0") as server:
        yield server


def test_a_database_that_cannot_be_reached(registry: Registry, outside: DatabaseServer) -> None:
    outside.create_database("outside")
    registry.api.make_secret(registry.namespace, "login", username=USER, password=outside.password)
    external = {
        "host": registry.cluster.machine.host,
        "port": 1,
        "name": "outside",
        "credentialsSecretName": "login",
        "tlsMode": "Disabled",
    }
    registry.create(storage=_SMALL, database={"type": "External", "external": external})
    _told(registry, "SchemaMigrated", "pier-migrate-", registry.cluster.machine.host)
    registry.change(database={"external": {"port": outside.port}})
    registry.wait()
