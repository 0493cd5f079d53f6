"""The host that each client lives on: with an engine or a containerd of its own where it needs one."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from tests.clients import containerd
from tests.clients.programs import BUILDAH, CTR, DOCKER, DOCKER_26, DOCKER_26_CONTAINERD, PODMAN, SKOPEO, Program
from tests.clients.terminal import Terminal, own_host
from tests.parts import docker_engine, docker_modern
from tests.parts.docker_engine import DockerEngine
from tests.parts.tools import tool

_ENGINES: Final[Mapping[str, Callable[[], AbstractContextManager[DockerEngine]]]] = {
    DOCKER.id: docker_engine.running,
    DOCKER_26.id: docker_modern.running,
    DOCKER_26_CONTAINERD.id: partial(docker_modern.running, containerd_store=True),
}
_CONTAINERS: Final = (PODMAN, BUILDAH, SKOPEO)
# Limits that any root may set, and no systemd. Images lie outside the overlays: none goes on top of another.
_ENGINE: Final = """
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
"""
_STORAGE: Final = """
[storage]
driver = "overlay"
graphroot = "{home}/images"
runroot = "{home}/run"
"""


@contextmanager
def host_for(program: Program) -> Iterator[Terminal]:
    """A terminal where the program can be typed."""
    if program.id in _ENGINES:
        with _ENGINES[program.id]() as engine, beside(engine) as opened:
            yield opened
        return
    with _home() as home, own_host({program.name: tool(program.name)}) as opened:
        if program in _CONTAINERS:
            _configure_containers(opened, home)
        if program == CTR:
            with containerd.running(opened, home):
                yield opened
        else:
            yield opened


@contextmanager
def beside(engine: DockerEngine) -> Iterator[Terminal]:
    """On the engine's host: what is put into /etc/docker there is the engine's."""
    with own_host({"docker": Path(engine.cli)}, engine.environment) as opened:
        opened.run(f"mkdir -p /etc/docker; mount --bind {engine.home}/etc /etc/docker")
        yield opened


def _configure_containers(opened: Terminal, home: Path) -> None:
    (home / "containers.conf").write_text(_ENGINE)
    (home / "storage.conf").write_text(_STORAGE.format(home=home))
    opened.run(f"cp {home}/containers.conf {home}/storage.conf /etc/containers/")


@contextmanager
def _home() -> Iterator[Path]:
    home = Path(tempfile.mkdtemp(prefix="pier-client-"))
    try:
        yield home
    finally:
        shutil.rmtree(home)
