"""An image of Debian, pushed and pulled by the manual's lines, starts and tells what it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients.client import Client
from tests.clients.programs import CTR, DOCKER, DOCKER_26_CONTAINERD, PODMAN

RUNNING = [DOCKER, DOCKER_26_CONTAINERD, PODMAN, CTR]


@pytest.mark.parametrize("installed", RUNNING, indirect=True, ids=lambda program: program.id)
def test_what_was_pulled_runs(installed: Client, saved_images: dict[str, Path], team: str) -> None:
    installed.prepare(saved_images["app"], "app:1")
    installed.push(team)
    installed.forget()
    assert 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"' in installed.pull(team)
    installed.forget()
