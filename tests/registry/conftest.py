"""Registries to talk to: one with everything as a user runs it, shared by a module's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.parts.registry import Running, registry


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Behind nginx, on SQLite."""
    with registry(tmp_path_factory.mktemp("pier") / "data") as running:
        yield running
