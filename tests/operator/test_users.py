"""Users as part of the resource: active within seconds, and nothing restarts."""

from __future__ import annotations

import json
import time

import pytest

from pier_operator import api
from pier_registry.web import rights_file
from tests.operator.cluster import Cluster, Operator, eventually
from tests.operator.planning import named, planned, secret, settled, texts


@pytest.fixture
def registry(cluster: Cluster, operator: Operator, namespace: str) -> str:
    """The namespace of a registry that serves."""
    cluster.node.served.add(namespace)
    cluster.create(namespace)
    cluster.wait_for(namespace, "Ready", "Ready", within=60)
    return namespace


@pytest.mark.alone
def test_a_new_user_gets_in_within_five_seconds_and_nothing_restarts(cluster: Cluster, registry: str) -> None:
    pods = {api.name_of(each) for each in cluster.kube.every(api.POD, registry)}
    cluster.make_secret(registry, "alice", password="the first one")
    users = [{"name": "alice", "passwordSecretRef": {"name": "alice"}, "repositories": ["team/*"]}]
    began = time.monotonic()
    cluster.change(registry, spec={"auth": {"users": users}})
    with cluster.client(registry, "alice", "the first one") as client:
        eventually(lambda: client.get("/v2/").status_code == 200, 10)
        assert time.monotonic() - began < 5
        cluster.wait_for(registry, "UsersActive", "Active", within=5)
        assert client.post("/v2/team/app/blobs/uploads/").status_code == 202
        assert client.post("/v2/other/app/blobs/uploads/").status_code == 403
        assert _changed_password_is_active(cluster, registry)
        assert client.get("/v2/").status_code == 401
    cluster.change(registry, spec={"auth": {"users": []}})
    with cluster.client(registry, "alice", "the second one") as client:
        eventually(lambda: client.get("/v2/").status_code == 401, 5)
    assert {api.name_of(each) for each in cluster.kube.every(api.POD, registry)} == pods


def _changed_password_is_active(cluster: Cluster, registry: str) -> bool:
    """The user's Secret carries our label, so that its change is seen at once."""
    body = {"metadata": {"labels": {api.REGISTRY: "pier"}}, "stringData": {"password": "the second one"}}
    cluster.patch("Secret", registry, "alice", body)
    with cluster.client(registry, "alice", "the second one") as client:
        return eventually(lambda: client.get("/v2/").status_code == 200, 5)


def test_a_generated_password_is_kept_and_the_file_is_stable() -> None:
    spec = {"auth": {"users": [{"name": "ci"}]}}
    found = settled(spec)
    generated = texts(named(found, "Secret", "pier-users"))
    assert set(generated) == {"ci", "pier-pull", "pier-probe"}
    assert len(generated["ci"]) == 32
    again = planned(spec, children=found)
    for name in ("pier-users", "pier-users-file", "pier-admin", "pier-pull"):
        assert texts(named([each.manifest for each in again.children], "Secret", name)) == texts(
            named(found, "Secret", name)
        )


def test_a_user_who_is_taken_out_loses_the_password() -> None:
    found = settled({"auth": {"users": [{"name": "ci"}]}})
    without = planned({}, children=found)
    held = [each.manifest for each in without.children]
    assert "ci" not in texts(named(held, "Secret", "pier-users"))
    assert "ci:" not in texts(named(held, "Secret", "pier-users-file"))["users.htpasswd"]


def test_a_lost_secret_locks_nobody_out() -> None:
    spec = {"auth": {"users": [{"name": "alice", "passwordSecretRef": {"name": "login"}}]}}
    found = settled(spec, references=[secret("login", password="hers")])
    before = texts(named(found, "Secret", "pier-users-file"))["users.htpasswd"]
    lost = planned(spec, children=found)
    assert texts(named([e.manifest for e in lost.children], "Secret", "pier-users-file"))["users.htpasswd"] == before
    told = lost.condition("CredentialsReady")
    assert told
    assert (told.holds, told.reason) == (False, "SecretMissing")
    assert "Secret login" in told.message


@pytest.mark.parametrize("password", ["", "x" * 73, "a\0b"])
def test_a_password_that_cannot_be_hashed_is_refused(password: str) -> None:
    spec = {"auth": {"users": [{"name": "alice", "passwordSecretRef": {"name": "login"}}]}}
    told = planned(spec, references=[secret("login", password=password)]).condition("CredentialsReady")
    assert told
    assert told.reason == "PasswordInvalid"


def test_the_rights_are_those_of_the_spec() -> None:
    spec = {"auth": {"users": [{"name": "ci", "role": "Pull", "repositories": ["team/*", "base"]}]}}
    rights = json.loads(texts(named(settled(spec), "Secret", "pier-users-file"))["rights.yaml"])["users"]
    assert rights["ci"] == [{"role": "pull", "repositories": ["team/*", "base"]}]
    assert rights["pier-probe"] == [{"role": "push", "repositories": ["pier-probe"]}]
    assert rights["pier-pull"] == [{"role": "pull", "repositories": ["*"]}]


def test_the_registry_reads_the_rights_that_the_operator_writes() -> None:
    spec = {"auth": {"users": [{"name": "ci"}, {"name": "007"}, {"name": "null"}]}}
    entries = rights_file.parse(texts(named(settled(spec), "Secret", "pier-users-file"))["rights.yaml"].encode())
    assert set(entries) == {"admin", "pier-pull", "pier-probe", "ci", "007", "null"}
