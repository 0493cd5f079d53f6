"""Fifty clients at once, as they really push, on MariaDB behind nginx: no push is lost, and nothing is left over."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import pytest

from pier_registry.actions.registry import Registry
from pier_registry.app import open_registry
from pier_registry.settings import Settings
from pier_registry.web import users
from tests.parts.database import DatabaseServer
from tests.parts.registry import Running
from tests.registry.counting import oci_storming as storming
from tests.registry.counting import oci_truth, truth
from tests.registry.protocol.doors import opened
from tests.registry.v2.documents import digest
from tests.registry.v2.places import migrated, sound, until

SECONDS: Final = 60.0
LEASE: Final = 30.0
_USERS: Final = 6


@dataclass(frozen=True, slots=True)
class Storm:
    running: Running
    registry: Registry
    passwords: list[str]

    @property
    def admin(self) -> httpx.Client:
        return self.running.client()


@pytest.fixture
def storm(tmp_path: Path, mariadb: DatabaseServer) -> Iterator[Storm]:
    url = migrated(mariadb.create_database("storm"))
    settings = {"database_url": url, "workers": 2, "lease": LEASE, "upload_timeout": LEASE}
    with opened(tmp_path, "nginx", **settings) as running:
        registry = open_registry(Settings(data=running.data, database_url=url))
        try:
            yield Storm(running, registry, [_user(running, f"user{number}") for number in range(_USERS)])
        finally:
            registry.metadata.close()


def _user(running: Running, name: str) -> str:
    password = secrets.token_urlsafe(12)
    users.add(running.data / "users.htpasswd", name, users.hash_password(password, 4))
    return password


@pytest.mark.alone
def test_fifty_clients_lose_no_push_and_leave_nothing_behind(storm: Storm) -> None:
    clients = storming.clients(storm.running, storm.passwords, LEASE, seed=time.time_ns() % 100_000)
    assert len(clients) == 50
    told = storming.run(clients, SECONDS)
    assert told.failures == []
    for what in ("push", "left", "v1 push", "retag", "read", "untag", "delete", "delete repository"):
        assert told.done[what] >= 3, told.done
    until(lambda: oci_truth.problems(storm.registry) == [], "everything is counted and held")
    lists_lose_only_what_has_no_promise_left(storm)
    until(lambda: not truth.count(storm.registry, "lease"), "all promises have ended", within=3 * LEASE)
    until(lambda: not truth.count(storm.registry, "upload"), "all uploads have ended", within=3 * LEASE)
    until(lambda: not truth.count(storm.registry, "outbox"), "all files are removed", within=3 * LEASE)
    oci_truth.is_at_rest(storm.registry)
    lists_agree_with_rows(storm)
    sound(storm.running)
    everything_is_pulled(storm)
    delete_everything(storm)
    assert truth.files(storm.registry) == {}
    oci_truth.is_at_rest(storm.registry)


def lists_lose_only_what_has_no_promise_left(storm: Storm) -> None:
    """Nobody pushes any more, but promises end meanwhile, and what had nothing else goes with them."""
    before = oci_truth.stored(storm.registry)
    listed = _referrers(storm)
    after = oci_truth.stored(storm.registry)
    for (name, subject), found in listed.items():
        about = {each.digest for each in storming.NOTES if each.subject == storming.DOCUMENTS[subject]}
        assert about & after[name] <= set(found) <= about & before[name]


def lists_agree_with_rows(storm: Storm) -> None:
    """Tags in order, and the referrers of everything."""
    tags, stored = oci_truth.tags(storm.registry), oci_truth.stored(storm.registry)
    for name in storming.REPOSITORIES:
        listed = storm.admin.get(f"/v2/{name}/tags/list").json().get("tags", [])
        assert listed == sorted(tag for repository, tag in tags if repository == name)
    for (name, subject), found in _referrers(storm).items():
        about = {each.digest for each in storming.NOTES if each.subject == storming.DOCUMENTS[subject]}
        assert sorted(found) == sorted(about & stored[name])


def _referrers(storm: Storm) -> dict[tuple[str, str], list[str]]:
    """Digests that are listed, by repository and subject."""
    client = storm.admin
    return {
        (name, subject): [each["digest"] for each in client.get(f"/v2/{name}/referrers/{subject}").json()["manifests"]]
        for name in storming.REPOSITORIES
        for subject in storming.DOCUMENTS
    }


def everything_is_pulled(storm: Storm) -> None:
    """Byte for byte, from every tag down."""
    for name, tag in oci_truth.tags(storm.registry):
        pull(storm.admin, name, tag)


def pull(client: httpx.Client, name: str, reference: str) -> None:
    found = client.get(f"/v2/{name}/manifests/{reference}")
    assert digest(found.content) == found.headers["Docker-Content-Digest"]
    told = json.loads(found.content)
    for child in told.get("manifests", []):
        pull(client, name, child["digest"])
    for each in [*told.get("layers", []), *([told["config"]] if "config" in told else [])]:
        assert digest(client.get(f"/v2/{name}/blobs/{each['digest']}").content) == each["digest"]


def delete_everything(storm: Storm) -> None:
    for name in storm.admin.get("/api/repositories").json()["repositories"]:
        assert storm.admin.delete(f"/api/repositories/{name}").status_code == 200
