"""An engine with the images as they are shipped, and the registry's running in a container."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.clients.address import own_address
from tests.images import built
from tests.images.bridge import own_bridge
from tests.images.container import Container, published, volume
from tests.parts import docker_engine
from tests.parts.docker_engine import DockerEngine

# Ports are published by the engine's own relay: the host's rules are left alone.
_QUIET = ("--iptables=false", "--ip-forward=false")


@pytest.fixture(scope="session")
def engine() -> Iterator[DockerEngine]:
    with own_bridge() as bridge, docker_engine.running(*_QUIET, f"--bridge={bridge}", networks=True) as running:
        running.run("load", "--input", str(built.archive("registry")))
        yield running


@pytest.fixture(scope="session")
def host() -> Iterator[str]:
    """An address of this host for which engines do check certificates."""
    with own_address() as found:
        yield found


@pytest.fixture(scope="session")
def pier(engine: DockerEngine, host: str) -> Iterator[Container]:
    """Shared by tests that leave it as it is."""
    with volume(engine) as data, published(engine, host, f"--volume={data}:/data") as container:
        yield container
