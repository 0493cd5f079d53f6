"""Every fault at every request, and the operator still comes to the same end.

There are too many pairs for an installation each, so an installation meets a fault at several requests, which are
apart by more than it takes to recover. A request that was not made for that gets an installation of its own.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from typing import Final

import pytest

from pier_operator import api
from pier_operator.api import Manifest
from pier_operator.kube import Kube
from tests.operator.agreement import agree, children, secrets
from tests.operator.in_process import FAULTS, Ask, FaultyKube, InProcess, has_become
from tests.parts.control_plane import ControlPlane

_names = (f"r{number}" for number in itertools.count(1))
_NAME = "pier"
_APART: Final = 20  # requests between two faults of an installation


@pytest.fixture(scope="module")
def kube(lonely: ControlPlane) -> Kube:
    """A cluster without an operator but the one in this process."""
    return Kube.connected(lonely.kubeconfig)


def _create(kube: Kube) -> str:
    """A registry in a namespace of its own, whose name is returned."""
    name = next(_names)
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    kube.request("POST", "/api/v1/namespaces", body=body)
    kube.create(_resource(name))
    return name


def _install(operator: InProcess, name: str) -> None:
    """Every gate opens when all before it has been made."""
    for _ in range(4):
        operator.look((name, _NAME))
        has_become(_calm(operator.kube), name, _NAME)
        operator.refresh(name)
    operator.look((name, _NAME))


def _calm(kube: Kube) -> Kube:
    """The same connection, without faults."""
    return Kube(kube._client)


def _rests(operator: InProcess, name: str) -> None:
    """Another look writes nothing, but for the status of what has been found since."""
    operator.refresh(name)
    operator.look((name, _NAME))
    before, asked = len(operator.kube.writes), len(operator.kube.asked)
    operator.look((name, _NAME))
    assert len(operator.kube.asked) - asked == 1  # the resource itself
    assert operator.kube.writes[before:] == []


Installation = tuple[set[tuple[str, str]], list[Ask]]


@pytest.fixture(scope="module")
def undisturbed(kube: Kube) -> Installation:
    """Children of an installation without faults, and its requests."""
    operator = InProcess(FaultyKube(kube))
    name = _create(kube)
    _install(operator, name)
    asked = list(operator.kube.asked)
    agree(kube, name)
    _rests(operator, name)
    return set(children(kube, name)), asked


def test_an_installation_takes_few_requests(undisturbed: Installation) -> None:
    found, asked = undisturbed
    assert len(found) == 22
    assert len(asked) < 75


@pytest.mark.parametrize("fault", FAULTS)
def test_every_request_of_an_installation_may_meet_this_fault(
    kube: Kube, undisturbed: Installation, fault: str
) -> None:
    found, asked = undisturbed
    for first in range(_APART):
        for ask in _not_made(kube, found, fault, asked[first::_APART]):
            assert not _not_made(kube, found, fault, [ask])


def _not_made(kube: Kube, found: set[tuple[str, str]], fault: str, faulty: Sequence[Ask]) -> set[Ask]:
    """Install with this fault at these requests, which must make no difference; returns those that never came."""
    operator = InProcess(FaultyKube(kube, faulty, FAULTS[fault]))
    name = _create(kube)
    _install(operator, name)
    assert set(children(kube, name)) == found, f"{fault} at {faulty}"
    agree(kube, name)
    _rests(operator, name)
    return operator.kube.left


@pytest.fixture(scope="module")
def installed(kube: Kube) -> str:
    """Whose images the tests change, and nothing else."""
    name = _create(kube)
    _install(InProcess(FaultyKube(kube)), name)
    return name


@pytest.mark.parametrize("fault", FAULTS)
def test_every_request_of_an_upgrade_may_meet_this_fault(kube: Kube, installed: str, fault: str) -> None:
    before = secrets(kube, installed)
    for ask in _upgrade(kube, installed, f"{fault}-none"):
        assert ask in _upgrade(kube, installed, f"{fault}-{'-'.join(map(str, ask))}", [ask], fault)
    assert secrets(kube, installed) == before


def _upgrade(kube: Kube, name: str, version: str, faulty: Sequence[Ask] = (), fault: str = "500") -> list[Ask]:
    """By an operator that has just begun; returns its requests."""
    image = "pier:" + re.sub(r"[^a-z0-9]+", "-", version.lower())
    operator = InProcess(FaultyKube(kube, faulty, FAULTS[fault])).upgraded(registry_image=image)
    operator.refresh(name)
    _install(operator, name)
    deployment = kube.get(api.KINDS["Deployment"], name, _NAME)
    assert deployment
    assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] == image
    assert len([key for key in children(kube, name) if key[0] == "Job"]) == 1
    assert not operator.kube.left
    return operator.kube.asked


def test_an_edit_that_is_overtaken_by_an_own_write_is_looked_at(kube: Kube) -> None:
    """The answer is newer than the edit, which is then no news when the watch tells of it."""
    name = _create(kube)
    target = f"/apis/{api.PIER_REGISTRY.api_version}/namespaces/{name}/pierregistries/{_NAME}"

    def edited(ask: Callable[[], Manifest]) -> Manifest:
        body = {"metadata": {"annotations": {"look": "again"}}}
        kube.request("PATCH", target, body=body, form="application/merge-patch+json")
        return ask()

    status = f"/apis/{api.PIER_REGISTRY.api_version}/pierregistries/{_NAME}/status"
    operator = InProcess(FaultyKube(kube, [("PATCH", status, 0)], edited))
    assert operator.look((name, _NAME)) == 0
    assert not operator.kube.left
    assert operator.look((name, _NAME)) != 0


def test_a_stale_list_makes_no_second_password(kube: Kube) -> None:
    """A restart that sees nothing of what the process before has made."""
    name = _create(kube)
    _install(InProcess(FaultyKube(kube)), name)
    before = secrets(kube, name)
    blind = InProcess(FaultyKube(kube))
    for _ in range(3):
        blind.look((name, _NAME))
    assert secrets(kube, name) == before


def test_a_registry_of_the_same_name_is_another_one(kube: Kube) -> None:
    """Deleted and made anew between two looks: children of the first are not pruned as the second's."""
    name = _create(kube)
    operator = InProcess(FaultyKube(kube))
    _install(operator, name)
    stale = operator.cache.children((name, _NAME))
    target = f"/apis/{api.PIER_REGISTRY.api_version}/namespaces/{name}/pierregistries/{_NAME}"
    kube.request(
        "DELETE", target, body={"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
    )
    kube.create(_resource(name))
    before = set(children(kube, name))
    operator.look((name, _NAME))
    assert stale
    assert set(children(kube, name)) == before


def _resource(namespace: str) -> Manifest:
    return {
        "apiVersion": api.PIER_REGISTRY.api_version,
        "kind": api.PIER_REGISTRY.name,
        "metadata": {"name": _NAME, "namespace": namespace},
        "spec": {},
    }
