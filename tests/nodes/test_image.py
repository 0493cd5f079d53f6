"""The agent out of its image, with the security that the chart gives it: enough for its files, and for no others."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pier_operator.claim import Claim
from tests.chart.rendering import of_kind, rendered
from tests.images import built
from tests.nodes.node import ALLOWED, Node
from tests.parts import docker_engine
from tests.parts.docker_engine import DockerEngine
from tests.parts.ports import free_port

_HOST = "registry.example.org"


@pytest.fixture(scope="module")
def engine() -> Iterator[DockerEngine]:
    with docker_engine.running() as running:
        running.run("load", "--input", str(built.archive("operator")))
        yield running


def _options(spec: dict[str, Any], node: Node, api: Path) -> list[str]:
    """Those of the pod, in Docker's words; its API server does not answer, so nothing can be reported."""
    (container,) = spec["containers"]
    whole, own = spec["securityContext"], container["securityContext"]
    assert spec["hostNetwork"]
    places = {"claims": f"{node.claims}", "containerd": f"{node.containerd}", "docker": f"{node.docker}"}
    mounts = {each["name"]: (each["mountPath"], each.get("readOnly")) for each in container["volumeMounts"]}
    volumes = [f"--volume={places[name]}:{path}{':ro' if fixed else ''}" for name, (path, fixed) in mounts.items()]
    return [
        "--network=host",
        f"--user={whole['runAsUser']}:{whole['runAsGroup']}",
        *(f"--cap-drop={each}" for each in own["capabilities"]["drop"]),
        *(["--read-only"] if own["readOnlyRootFilesystem"] else []),
        *([] if own["allowPrivilegeEscalation"] else ["--security-opt=no-new-privileges"]),
        *volumes,
        f"--volume={api}:/kubeconfig:ro",
        "--env=KUBECONFIG=/kubeconfig",
        "--entrypoint=",
    ]


def _unreachable(place: Path) -> Path:
    """A kubeconfig of a server that is not there."""
    cluster = {"name": "a", "cluster": {"server": f"http://127.0.0.1:{free_port()}"}}
    context = {"name": "a", "context": {"cluster": "a", "user": "a"}}
    held = {"clusters": [cluster], "users": [{"name": "a", "user": {}}], "contexts": [context], "current-context": "a"}
    place.write_text(json.dumps({"apiVersion": "v1", "kind": "Config", **held}))
    return place


def test_it_writes_on_the_node_and_leaves_its_files_when_it_is_stopped(
    engine: DockerEngine, node: Node, authorities: tuple[str, str], tmp_path: Path
) -> None:
    (agents,) = of_kind(rendered({"nodeTrust": {"allowedHosts": list(ALLOWED)}}), "DaemonSet")
    spec = agents["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    command = [*container["command"], *(each.replace("$(NODE)", "node-a") for each in container["args"])]
    node.give(Claim(_HOST, authorities[0], "pier-nodes", "secret"))
    options = _options(spec, node, _unreachable(tmp_path / "kubeconfig"))
    name = engine.run("run", "--detach", *options, "pier-operator", *command)
    try:
        _eventually(lambda: len(node.files()) == 3, engine, name)
        engine.run("restart", "--time=10", name)
        assert len(node.files()) == 3
        node.give()
        _eventually(lambda: not node.files(), engine, name)
        assert "not reported: the API server does not answer" in engine.attempt("logs", name).stderr
        engine.run("stop", "--time=10", name)
        assert engine.run("inspect", "--format={{.State.ExitCode}}", name) == "0"
    finally:
        engine.attempt("rm", "--force", name)


def _eventually(holds: Callable[[], bool], engine: DockerEngine, name: str) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        if time.monotonic() > deadline:
            done = engine.attempt("logs", name)
            raise AssertionError(done.stdout + done.stderr)
        time.sleep(0.1)
