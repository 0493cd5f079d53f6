"""A fault at any request, and the operator still comes to the same end."""

from __future__ import annotations

import itertools

import pytest

from pier_operator import api
from pier_operator.api import Manifest
from pier_operator.kube import Kube
from tests.operator.agreement import agree, children
from tests.operator.in_process import FAULTS, FaultyKube, InProcess, has_become
from tests.parts.control_plane import ControlPlane

_names = (f"r{number}" for number in itertools.count(1))
_NAME = "pier"


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
    before, asked = len(operator.kube.writes), operator.kube.count
    operator.look((name, _NAME))
    assert operator.kube.count - asked == 1  # the resource itself
    assert operator.kube.writes[before:] == []


@pytest.fixture(scope="module")
def undisturbed(kube: Kube) -> tuple[set[tuple[str, str]], int]:
    """Children of an installation without faults, and the number of its requests."""
    operator = InProcess(FaultyKube(kube))
    name = _create(kube)
    _install(operator, name)
    count = operator.kube.count
    agree(kube, name)
    _rests(operator, name)
    return set(children(kube, name)), count


def test_an_installation_takes_few_requests(undisturbed: tuple[set[tuple[str, str]], int]) -> None:
    found, count = undisturbed
    assert len(found) == 22
    assert count < 150


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_at_any_request_of_an_installation_is_overcome(
    kube: Kube, undisturbed: tuple[set[tuple[str, str]], int], fault: str
) -> None:
    """Each request meets a fault; which one it is moves on from request to request."""
    found, count = undisturbed
    offset = list(FAULTS).index(fault)
    for number in range(1 + offset, count + 1, len(FAULTS)):
        operator = InProcess(FaultyKube(kube, number, FAULTS[fault]))
        name = _create(kube)
        _install(operator, name)
        assert set(children(kube, name)) == found, f"{fault} at request {number}"
        agree(kube, name)
        _rests(operator, name)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_at_any_request_of_an_upgrade_is_overcome(kube: Kube, fault: str) -> None:
    name = _create(kube)
    operator = InProcess(FaultyKube(kube))
    _install(operator, name)
    secrets = {key: each["data"] for key, each in children(kube, name).items() if key[0] == "Secret"}
    for number in range(1 + list(FAULTS).index(fault), 15, len(FAULTS)):
        faulty = InProcess(FaultyKube(kube, number, FAULTS[fault])).upgraded(registry_image=f"pier:{fault}-{number}")
        faulty.refresh(name)
        _install(faulty, name)
        deployment = kube.get(api.KINDS["Deployment"], name, _NAME)
        assert deployment
        assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] == f"pier:{fault}-{number}"
        jobs = [key for key in children(kube, name) if key[0] == "Job"]
        assert len(jobs) == 1
    assert {key: each["data"] for key, each in children(kube, name).items() if key[0] == "Secret"} == secrets


def test_a_stale_list_makes_no_second_password(kube: Kube) -> None:
    """A restart that sees nothing of what the process before has made."""
    name = _create(kube)
    _install(InProcess(FaultyKube(kube)), name)
    before = {key: each["data"] for key, each in children(kube, name).items() if key[0] == "Secret"}
    blind = InProcess(FaultyKube(kube))
    for _ in range(3):
        blind.look((name, _NAME))
    assert {key: each["data"] for key, each in children(kube, name).items() if key[0] == "Secret"} == before


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
