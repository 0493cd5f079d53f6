"""Ready means that a push works: the operator's own try, against a real registry."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import replace

import pytest

from pier_operator.plan import plan
from pier_operator.plan.child import Condition
from pier_operator.plan.status import PARTS
from pier_operator.probe import HOST, REACHABLE, Answer, Prober, Target
from pier_operator.probing import targets
from tests.operator.planning import named, settled, situation
from tests.parts import registry as registries
from tests.parts.ports import free_port
from tests.parts.registry import Running

_KEY = ("team", "pier")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, Target]]:
    with registries.registry(tmp_path_factory.mktemp("probed") / "data") as made:
        password = made.add_user("pier-probe", role="push", repositories="pier-probe")
        yield made, Target(REACHABLE, "127.0.0.1", made.port, "localhost", made.ca.read_text(), password, False, "1")


def _ask(target: Target) -> Answer:
    return Prober().ask(_KEY, target)


def test_a_push_that_works_is_told_and_leaves_nothing(running: tuple[Running, Target]) -> None:
    made, target = running
    answer = _ask(target)
    assert answer.condition == Condition(REACHABLE, True, "Reachable", "a push to 127.0.0.1 works")
    assert answer.wait == 600
    assert made.usage()["uploads"] == 0


def test_what_goes_wrong_is_told(running: tuple[Running, Target]) -> None:
    _, target = running
    wrong = {
        "GET /v2/ is answered with 401": replace(target, password="wrong"),
        "the certificate is not accepted": replace(target, authorities=_another_ca()),
        "does not answer": replace(target, port=free_port()),
        "though the registry is read-only": replace(target, read_only=True),
    }
    for words, broken in wrong.items():
        answer = _ask(broken)
        assert not answer.condition.holds
        assert answer.condition.reason == "ProbeFailed"
        assert words in answer.condition.message


def _another_ca() -> str:
    store = ssl.create_default_context()
    return ssl.DER_cert_to_PEM_cert(store.get_ca_certs(binary_form=True)[0])


def test_a_name_that_the_certificate_is_not_for_is_told(running: tuple[Running, Target]) -> None:
    _, target = running
    assert "certificate is not accepted" in _ask(replace(target, host="other.example.org")).condition.message


def test_a_good_answer_holds_until_something_changes(running: tuple[Running, Target]) -> None:
    _, target = running
    now = [0.0]
    prober = Prober(lambda: now[0])
    assert prober.ask(_KEY, target).condition.holds
    now[0] = 500
    unasked = replace(target, password="wrong")
    assert prober.ask(_KEY, unasked).condition.holds
    assert not prober.ask(_KEY, replace(unasked, mark="2")).condition.holds


def test_bad_answers_are_asked_for_again_each_time_later(running: tuple[Running, Target]) -> None:
    _, target = running
    now = [0.0]
    prober = Prober(lambda: now[0])
    waits = []
    for _ in range(8):
        waits.append(prober.ask(_KEY, replace(target, port=free_port())).wait)
        now[0] += waits[-1]
    assert waits == [1, 2, 4, 8, 16, 30, 30, 30]


def test_the_host_outside_is_tried_and_gates_nothing() -> None:
    spec = {"host": "registry.example.org", "expose": {"type": "LoadBalancer"}}
    found = settled(spec)
    here = situation(spec, children=found)
    asked = targets(here, plan(here), "10.0.0.1")
    assert [(each.condition, each.address, each.port, each.host) for each in asked] == [
        (REACHABLE, "10.0.0.1", 443, "registry.example.org"),
        (HOST, "registry.example.org", 443, "registry.example.org"),
    ]
    assert HOST not in PARTS


def test_a_node_port_is_tried_at_its_port() -> None:
    spec = {"host": "registry.example.org", "expose": {"type": "NodePort"}}
    found = settled(spec)
    named(found, "Service", "pier")["spec"]["ports"][0]["nodePort"] = 30443
    here = situation(spec, children=found)
    assert targets(here, plan(here), "10.0.0.1")[1].port == 30443
