"""A real API server for the chart's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.parts import control_plane
from tests.parts.control_plane import ControlPlane


@pytest.fixture(scope="package")
def plane() -> Iterator[ControlPlane]:
    with control_plane.running() as running:
        yield running
