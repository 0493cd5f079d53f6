"""The Docker engine that other tests stand on, and what it leaves on its host."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.parts import cache, docker_engine, docker_network
from tests.parts.docker_engine import DockerEngine


def test_a_saved_image_runs(docker_engine: DockerEngine, saved_images: dict[str, Path]) -> None:
    docker_engine.run("load", "--input", str(saved_images["small"]))
    try:
        assert "hello from the pier" in docker_engine.run("run", "--rm", "--network", "none", "small:1")
    finally:
        docker_engine.run("rmi", "small:1")


def test_a_failing_command_raises_what_docker_said(docker_engine: DockerEngine) -> None:
    with pytest.raises(AssertionError, match="No such image: nowhere"):
        docker_engine.run("rmi", "nowhere")


def test_an_engine_with_networks_leaves_its_host_as_it_was() -> None:
    before = host()
    with docker_engine.running(networks=True) as engine:
        assert "bridge" in engine.run("network", "ls", "--format", "{{.Name}}").split()
        assert host() != before
    assert host() == before
    assert not engine.home.exists()


def test_rules_of_others_that_came_meanwhile_stay() -> None:
    before = ["-P FORWARD ACCEPT", "-A FORWARD -i pods -j ACCEPT"]
    meanwhile = "-A FORWARD -i others -j ACCEPT"
    after = ["-P FORWARD DROP", "-N DOCKER", before[1], meanwhile, "-A FORWARD -o docker0 -j DOCKER"]
    assert docker_network.undoing(before, after) == [
        "-D FORWARD -o docker0 -j DOCKER",
        "-X DOCKER",
        "-P FORWARD ACCEPT",
    ]


def host() -> tuple[str, str, bool]:
    """The filter and nat rules, and whether Docker's bridge is there."""
    listing = [cache.program("iptables"), "--wait", "-S"]
    rules = [
        subprocess.run([*listing, "-t", table], capture_output=True, text=True, check=True).stdout
        for table in ("filter", "nat")
    ]
    return rules[0], rules[1], Path("/sys/class/net/docker0").exists()
