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


@pytest.fixture(scope="package")
def engine() -> Iterator[DockerEngine]:
    """Ports are published by the engine's own relay: the host's rules are left alone."""
    with own_bridge() as bridge, docker_engine.running(f"--bridge={bridge}") as running:
        running.run("load", "--input", str(built.archive("registry")))
        yield running


@pytest.fixture(scope="package")
def host() -> Iterator[str]:
    """An address of this host for which engines do check certificates."""
    with own_address() as found:
        yield found


@pytest.fixture(scope="package")
def pier(engine: DockerEngine, host: str) -> Iterator[Container]:
    """Shared by tests that leave it as it is."""
    with volume(engine) as data, published(engine, host, f"--volume={data}:/data") as container:
        yield container
