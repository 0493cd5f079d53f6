"""The file `mode`: read-only and back, while the registry serves."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.parts.registry import Running
from tests.registry.protocol.doors import DOORS, opened
from tests.registry.protocol.pushing import pushed, put_tag

REFUSED = "this registry is read-only now: try again later"


@pytest.fixture(scope="module", params=DOORS)
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with opened(tmp_path_factory.mktemp("mode"), request.param) as opened_one:
        yield opened_one


@pytest.fixture
def client(running: Running) -> Iterator[httpx.Client]:
    (running.data / "mode").write_text("active\n")
    with running.client() as opened_one:
        yield opened_one


def metric(running: Running, name: str) -> float:
    told = httpx.get(f"http://127.0.0.1:{running.health_port}/metrics").text
    return float(next(line.split()[1] for line in told.splitlines() if line.startswith(f"{name} ")))


def test_it_holds_from_the_next_request_on(running: Running, client: httpx.Client) -> None:
    top = pushed(client, "mode/app", "1")[0].id
    (running.data / "mode").write_text("read-only\n")
    refused = put_tag(client, "mode/app", "2", top)
    assert (refused.status_code, refused.json()) == (405, {"error": REFUSED})
    assert client.post("/v2/mode/app/blobs/uploads/").status_code == 405
    assert client.get("/v1/repositories/mode/app/tags").json() == {"1": top}
    assert metric(running, "pier_read_only") == 1
    (running.data / "mode").write_text("active\n")
    assert put_tag(client, "mode/app", "2", top).status_code == 200
    assert metric(running, "pier_read_only") == 0


def test_what_is_told_there_is_promised_to_nobody(running: Running, client: httpx.Client) -> None:
    pushed(client, "mode/app", "1")
    manifest = client.get("/v2/mode/app/manifests/1").json()
    (running.data / "mode").write_text("read-only")
    assert client.head(f"/v2/mode/app/blobs/{manifest['config']['digest']}").status_code == 200
    assert client.get("/api/usage").json()["leases"] == 0


def test_a_file_that_says_neither_changes_nothing(running: Running, client: httpx.Client) -> None:
    (running.data / "mode").write_text("read-only")
    assert client.post("/v2/mode/app/blobs/uploads/").status_code == 405
    (running.data / "mode").write_text("asleep")
    assert client.post("/v2/mode/app/blobs/uploads/").status_code == 405
    assert metric(running, "pier_mode_stale") == 1
