"""The image in the pod that the operator makes: a migration, then the registry and its front door side by side."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import pytest

from pier_registry import pki
from pier_registry.settings import Settings
from pier_registry.web.users import hash_password
from tests.images import pod
from tests.images.container import Container
from tests.images.pod import Pod
from tests.images.slow import SlowPush
from tests.parts.database import DatabaseServer
from tests.parts.docker_engine import DockerEngine
from tests.registry.v2.documents import noise
from tests.registry.v2.pushing import Repository

_PASSWORD: Final = "a password of this test"
_RIGHTS: Final = "users:\n  admin:\n    - {role: admin, repositories: '*'}\n"


@dataclass(frozen=True, slots=True)
class Cluster:
    """What a pod needs around it."""

    engine: DockerEngine
    host: str
    volumes: Path
    authorities: Path
    secrets: dict[str, str]

    def migrate(self) -> str:
        job = pod.template("Job")
        (container,) = job["containers"]
        return pod.run_once(self.engine, job, container, self.volumes, self.secrets)

    @contextmanager
    def running(self) -> Iterator[Pod]:
        """Ready."""
        with pod.running(self.engine, self.host, self.volumes, self.secrets) as made:
            made.containers["registry"].wait_for()
            yield made

    def set_users(self, **passwords: str) -> None:
        lines = [f"{name}:{hash_password(password, 5).decode()}\n" for name, password in passwords.items()]
        pod.put(self.volumes / "users", {"users.htpasswd": "".join(lines), "rights.yaml": _RIGHTS})

    def renew(self) -> str:
        """A certificate of a new authority; its path."""
        place = self.authorities / str(len(list(self.authorities.iterdir())))
        pki.ensure(Settings(data=place, host=self.host))
        pod.put(self.volumes / "tls", {name: (place / "tls" / name).read_text() for name in ("tls.crt", "tls.key")})
        return str(place / "tls" / "ca.crt")


@pytest.fixture(scope="module")
def cluster(
    engine: DockerEngine, host: str, mysql: DatabaseServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """The database is reached by its socket, which lies where the CA of a database lies otherwise."""
    folder = tmp_path_factory.mktemp("cluster")
    (folder / "authorities").mkdir()
    (folder / "volumes").mkdir()
    volumes = pod.prepared(folder / "volumes")
    url = mysql.create_database("pod").replace(str(mysql.socket), "/etc/pier/database/mysql.sock")
    (volumes / "database" / "mysql.sock").hardlink_to(mysql.socket)
    made = Cluster(engine, host, volumes, folder / "authorities", {"PIER_DATABASE_URL": url})
    made.set_users(admin=_PASSWORD)
    yield made
    mysql.drop_database("pod")


def _client(address: str, authority: str, user: str = "admin", password: str = _PASSWORD) -> httpx.Client:
    trusting = ssl.create_default_context(cafile=authority)
    return httpx.Client(base_url=f"https://{address}", verify=trusting, auth=(user, password), timeout=60)


@pytest.fixture(scope="module")
def running(cluster: Cluster) -> Iterator[tuple[Pod, str]]:
    """A pod, and the CA of its first certificate."""
    authority = cluster.renew()
    cluster.migrate()
    with cluster.running() as made:
        yield made, authority


def test_the_migration_can_run_again(cluster: Cluster) -> None:
    cluster.migrate()
    assert cluster.migrate() == "the database was up to date"


def test_both_containers_answer_the_probes(running: tuple[Pod, str]) -> None:
    for container in pod.template("Deployment")["containers"]:
        for probe in ("livenessProbe", "readinessProbe"):
            path = container[probe]["httpGet"]["path"]
            assert httpx.get(f"http://{running[0].private}{path}", timeout=30).status_code == 200


def test_the_front_door_sends_layers_from_a_volume_that_it_cannot_change(running: tuple[Pod, str]) -> None:
    made, authority = running
    layer = noise(3_000_000)
    with _client(made.address, authority) as client:
        name = Repository(client, "team/app").blob(layer)
        assert client.get(f"/v2/team/app/blobs/{name}").content == layer
    door = made.containers["proxy"]
    touched = door.engine.attempt("exec", door.name, "touch", "/data/layers/mine")
    assert "Read-only file system" in touched.stderr


def test_a_new_user_is_let_in_as_soon_as_the_volume_has_it(running: tuple[Pod, str], cluster: Cluster) -> None:
    made, authority = running
    with _client(made.address, authority, "alice", "her own password") as alice:
        assert alice.get("/v2/").status_code == 401
        cluster.set_users(admin=_PASSWORD, alice="her own password")
        time.sleep(1)
        assert alice.get("/v2/").status_code == 200
        cluster.set_users(admin=_PASSWORD)
        time.sleep(1)
        assert alice.get("/v2/").status_code == 401


def test_a_new_certificate_is_taken_without_a_restart(running: tuple[Pod, str], cluster: Cluster) -> None:
    made, _ = running
    authority = cluster.renew()
    made.containers["proxy"].wait_for("nginx takes the new one")
    deadline = time.monotonic() + 10
    while not _accepted(made.address, authority):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _accepted(address: str, authority: str) -> bool:
    """nginx says that it reloads before its new workers are there."""
    try:
        with _client(address, authority) as client:
            return client.get("/v2/").status_code == 200
    except httpx.ConnectError:
        return False


def test_a_push_that_runs_when_the_pod_is_told_to_end_ends_well(cluster: Cluster) -> None:
    """Beside another pod on the same volume, as in a roll."""
    authority = cluster.renew()
    cluster.migrate()
    with cluster.running() as made, _client(made.address, authority) as client, ThreadPoolExecutor(4) as pool:
        push = SlowPush()
        answer = pool.submit(push.run, Repository(client, "team/app"))
        assert push.begun.wait(20)
        ends = [pool.submit(_ended, each, made.containers[each["name"]]) for each in _containers()]
        time.sleep(8)  # past what both wait for before they are told
        assert not any(end.done() for end in ends)
        push.let_go.set()
        assert answer.result(30).status_code == 201
        assert [end.result(30) for end in ends] == [0, 0]


def _containers() -> list[pod.Manifest]:
    found: list[pod.Manifest] = pod.template("Deployment")["containers"]
    return found


def _ended(manifest: pod.Manifest, container: Container) -> int:
    """As the kubelet does it: the hook first, then SIGTERM; the exit code."""
    container.exec(*manifest["lifecycle"]["preStop"]["exec"]["command"])
    return container.stop(grace=60)
