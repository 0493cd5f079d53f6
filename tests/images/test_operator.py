"""The operator's image as the chart runs it: its settings, its security, its rights, at a real API server."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Final

import httpx
import pytest

from tests.chart.rendering import Values
from tests.images import built
from tests.images.container import HARDENED
from tests.images.release import IMAGE, Release, wait
from tests.parts import control_plane
from tests.parts.control_plane import ControlPlane
from tests.parts.docker_engine import DockerEngine

_SYSTEMS: Final = count(1)
_FIRST: Final = """
apiVersion: registry.pier.dev/v1alpha1
kind: PierRegistry
metadata: {name: first}
spec: {}
"""


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    """Its certificates name no keys, as in clusters that are old, though the image's Python would want that."""
    with control_plane.running() as running:
        yield running


@pytest.fixture(scope="module")
def loaded(engine: DockerEngine) -> DockerEngine:
    engine.run("load", "--input", str(built.archive("operator")))
    return engine


@pytest.fixture
def release(
    request: pytest.FixtureRequest, loaded: DockerEngine, plane: ControlPlane, tmp_path: Path
) -> Iterator[Release]:
    """With the values that the test gives."""
    yield from _installed(loaded, plane, getattr(request, "param", {}), tmp_path)


def _installed(engine: DockerEngine, plane: ControlPlane, values: Values, folder: Path) -> Iterator[Release]:
    """In a namespace of its own, and alone."""
    namespace = f"system-{next(_SYSTEMS)}"
    plane.kubectl("delete", "crd", "pierregistries.registry.pier.dev", "--ignore-not-found")
    yield Release.install(engine, plane, namespace, values, folder)
    plane.kubectl("delete", "clusterrolebinding", f"{namespace}:pier-operator", "--ignore-not-found")
    plane.kubectl("delete", "rolebinding", "--all", "--namespace=default")


@pytest.mark.parametrize(
    "release", [{}, {"watchNamespaces": ["default"], "rbac": {"aggregate": False}}], indirect=True, ids=["all", "one"]
)
def test_it_makes_a_registry_with_the_rights_that_the_chart_gives(release: Release) -> None:
    """Of all namespaces, or of one, without any right beyond that."""
    kubectl = release.plane.kubectl
    with release.running() as running:
        kubectl("apply", "--filename=-", stdin=_FIRST)
        for child in ("statefulset/first-mysql", "secret/first-admin", "configmap/first-ca", "service/first"):
            wait(lambda child=child: kubectl("get", child, "--ignore-not-found"), lambda: running.log, 30)  # type: ignore[misc]
        wait(lambda: kubectl("get", "pierregistry", "first", "-o=jsonpath={.status.conditions}"), lambda: running.log)
        assert httpx.get(f"{running.url}/readyz").text == "ok\n"
        assert [line for line in running.log.splitlines() if "orbidden" in line or "Traceback" in line] == []


def test_it_stops_at_once_and_gives_the_lease_back(release: Release) -> None:
    with release.running() as running:
        began = time.monotonic()
        release.engine.run("stop", "--time", "30", running.name)
        assert time.monotonic() - began < 15
        assert release.engine.run("inspect", "--format", "{{.State.ExitCode}}", running.name) == "0"
    leases = ("get", "leases", f"--namespace={release.namespace}", "-o=jsonpath={.items[*].spec.holderIdentity}")
    assert release.plane.kubectl(*leases).strip() == ""


def test_the_test_of_the_chart_finds_it(release: Release) -> None:
    with release.running() as running:
        assert "registries in the cluster" in release.engine.run("run", *release.test(running.url))
        release.plane.kubectl("delete", "clusterrolebinding", f"{release.namespace}:pier-operator")
        refused = release.engine.attempt("run", *release.test(running.url))
    assert "the operator sees no PierRegistries (Forbidden)" in refused.stderr
    assert refused.returncode == 1


def test_it_knows_the_public_authorities(loaded: DockerEngine) -> None:
    """A registry may have a certificate of one."""
    asked = "import ssl; print(len(ssl.create_default_context().get_ca_certs()))"
    assert int(loaded.run("run", "--rm", "--entrypoint=python", IMAGE, "-c", asked)) > 100


def test_a_wrong_setting_is_one_line(loaded: DockerEngine) -> None:
    done = loaded.attempt("run", "--rm", *HARDENED, "--env=PIER_OPERATOR_WORKERS=many", IMAGE)
    assert done.stderr.splitlines() == [
        "pier-operator: PIER_OPERATOR_WORKERS is 'many', and takes a whole number up to 99999"
    ]
    assert done.returncode == 2
