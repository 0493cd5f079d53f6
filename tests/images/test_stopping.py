"""`docker stop`: running pushes end first, and what has to be cut leaves nothing behind."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import httpx
import pytest

from tests.images.container import HARDENED, Container, published, started, volume
from tests.images.slow import SlowPush
from tests.parts.docker_engine import DockerEngine
from tests.registry.v2.pushing import Repository


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as made:
        yield made


def _stopping(container: Container, pool: ThreadPoolExecutor, grace: int) -> Future[int]:
    """Under way: the port takes nobody any more."""
    stopping = pool.submit(container.stop, grace)
    deadline = time.monotonic() + 20
    while _takes_connections(container):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return stopping


def _takes_connections(container: Container) -> bool:
    """The engine's relay takes connections itself, and closes those that nobody wants inside."""
    try:
        httpx.get(f"http://{container.address}/", timeout=5)
    except httpx.TransportError:
        return False
    return True


@pytest.mark.alone
def test_an_idle_registry_stops_at_once(engine: DockerEngine, host: str) -> None:
    with published(engine, host) as container:
        began = time.monotonic()
        assert container.stop() == 0
        assert time.monotonic() - began < 5


def test_a_running_push_ends_first(engine: DockerEngine, host: str, pool: ThreadPoolExecutor) -> None:
    with volume(engine) as data:
        with published(engine, host, f"--volume={data}:/data") as container, container.client() as client:
            push = SlowPush()
            answer = pool.submit(push.run, Repository(client, "team/app"))
            assert push.begun.wait(20)
            stopping = _stopping(container, pool, grace=60)
            assert not stopping.done()
            push.let_go.set()
            assert answer.result(30).status_code == 201
            assert stopping.result(30) == 0
        with published(engine, host, f"--volume={data}:/data") as again, again.client() as client:
            assert client.head(f"/v2/team/app/blobs/{push.digest}").status_code == 200


def test_a_push_that_outlasts_the_grace_is_cut_and_leaves_nothing_wrong(
    engine: DockerEngine, host: str, pool: ThreadPoolExecutor
) -> None:
    with volume(engine) as data:
        with published(engine, host, f"--volume={data}:/data") as container, container.client() as client:
            push = SlowPush()
            answer = pool.submit(push.run, Repository(client, "team/app"))
            assert push.begun.wait(20)
            assert container.stop(grace=1) == 137
            push.let_go.set()
            with pytest.raises(httpx.TransportError):
                answer.result(30)
        with published(engine, host, f"--volume={data}:/data") as again, again.client() as client:
            assert client.head(f"/v2/team/app/blobs/{push.digest}").status_code == 404
            assert "clean" in again.exec("pier", "fsck")


def test_a_stop_that_comes_at_once_is_heard(engine: DockerEngine) -> None:
    """Before Python listens for signals, too."""
    with started(engine, *HARDENED) as container:
        while "python" not in engine.run("top", container.name):
            time.sleep(0.01)
        began = time.monotonic()
        assert container.stop(grace=30) in {0, 143}
        assert time.monotonic() - began < 10


def test_verbs_that_listen_for_no_signal_end_by_it(engine: DockerEngine) -> None:
    """`pier users add` waits for a password here."""
    with started(engine, "--interactive", command=("users", "add", "alice", "--password-stdin")) as container:
        assert container.stop(grace=30) == 143
