"""A registry with an address of its own, and each of today's clients on a host that trusts it and is logged in."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Final

import pytest

from tests.clients.address import own_address
from tests.clients.archives import NAME, write_archive
from tests.clients.client import Client
from tests.clients.hosts import host_for
from tests.clients.programs import PROGRAMS
from tests.parts.registry import Running, registry

_TEAMS: Final = count(1)


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """One that no client treats as it treats `localhost`."""
    with own_address() as found:
        yield found


@pytest.fixture(scope="session")
def pier(address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Its certificate answers to the address."""
    data = tmp_path_factory.mktemp("clients") / "data"
    with registry(data, host="0.0.0.0", public_url=f"https://{address}") as running:
        yield running


@pytest.fixture(scope="session")
def alice(pier: Running) -> str:
    """The password of a user who may push."""
    return pier.add_user("alice")


@pytest.fixture(scope="session", params=PROGRAMS, ids=lambda program: program.id)
def installed(request: pytest.FixtureRequest, address: str, pier: Running, alice: str) -> Iterator[Client]:
    """Trusting and logged in."""
    with host_for(request.param) as terminal:
        made = Client(request.param, terminal, f"{address}:{pier.port}")
        (terminal.folder / "ca.crt").write_bytes(pier.ca.read_bytes())
        made.trust()
        made.log_in(alice)
        yield made


@pytest.fixture
def client(installed: Client, team: str, tmp_path: Path) -> Client:
    """With something new to push: an image `app:1`, or the client's own kind of thing."""
    archive = tmp_path / "small.tar"
    write_archive(archive, seed=int(team.removeprefix("team-")))
    installed.prepare(archive, NAME, text=f"for {team}")
    return installed


@pytest.fixture
def team(pier: Running) -> Iterator[str]:
    """A new name; what was pushed below it is gone after the test."""
    name = f"team-{next(_TEAMS)}"
    yield name
    for repository in pier.client().get("/api/repositories").json()["repositories"]:
        if repository.startswith(f"{name}/"):
            pier.client().delete(f"/api/repositories/{repository}").raise_for_status()
