"""A node, a CA, and a registry that speaks for itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.address import own_address
from tests.nodes.node import Node
from tests.parts.certificates import Authority
from tests.parts.registry import Running, registry


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path / "node")


@pytest.fixture(scope="session")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Two CAs, in PEM."""
    folders = (tmp_path_factory.mktemp(name) for name in ("one", "two"))
    first, second = (Authority(folder).pair.certificate.read_text() for folder in folders)
    return first, second


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """One that no runtime treats as it treats `localhost`."""
    with own_address() as found:
        yield found


@pytest.fixture(scope="session")
def pier(address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """At the address, on a port of its own."""
    data = tmp_path_factory.mktemp("nodes") / "data"
    with registry(data, host="0.0.0.0", public_url=f"https://{address}") as running:
        yield running


@pytest.fixture(scope="session")
def password(pier: Running) -> str:
    """That of the agents' user, which has the right that the operator gives it."""
    return pier.add_user("pier-nodes", role="pull", repositories="pier-nodes")
