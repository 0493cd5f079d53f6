"""Registries to talk to: one with everything as a user runs it, shared by a module's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.parts.registry import Running, registry

# An example tells nothing by the time that it takes on a busy machine.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Behind nginx, on SQLite."""
    with registry(tmp_path_factory.mktemp("pier") / "data") as running:
        yield running
