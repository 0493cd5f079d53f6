"""How an agent finds out whether its node gets in at a registry, here at a real one."""

from __future__ import annotations

import pytest

from pier_operator.claim import TRUSTED, Claim, Verdict
from pier_operator.nodes import pulling
from tests.nodes.node import Node
from tests.parts.ports import free_port
from tests.parts.registry import Running


@pytest.fixture
def claim(address: str, pier: Running, password: str) -> Claim:
    return Claim(f"{address}:{pier.port}", pier.ca.read_text(), "pier-nodes", password)


def test_a_registry_that_lets_us_in_is_trusted(claim: Claim) -> None:
    assert pulling.verdict(claim) == Verdict(claim.mark, TRUSTED)


def test_a_certificate_of_another_ca_is_told(claim: Claim, authorities: tuple[str, str]) -> None:
    told = pulling.verdict(Claim(claim.host, authorities[0], claim.user, claim.password))
    assert told.reason == "CertificateRefused"
    assert claim.host in told.message


def test_one_of_several_cas_is_enough(claim: Claim, authorities: tuple[str, str]) -> None:
    both = Claim(claim.host, authorities[0] + claim.authorities, claim.user, claim.password)
    assert pulling.verdict(both).reason == TRUSTED


def test_a_certificate_for_another_name_is_told(claim: Claim, pier: Running) -> None:
    told = pulling.verdict(Claim(f"127.0.0.2:{pier.port}", claim.authorities, claim.user, claim.password))
    assert told.reason == "CertificateRefused"


def test_a_wrong_password_is_told(claim: Claim) -> None:
    told = pulling.verdict(Claim(claim.host, claim.authorities, claim.user, "wrong"))
    assert told.reason == "LoginRefused"


def test_a_user_who_may_not_pull_is_told(claim: Claim, pier: Running) -> None:
    secret = pier.add_user("other", role="pull", repositories="elsewhere")
    told = pulling.verdict(Claim(claim.host, claim.authorities, "other", secret))
    assert told.reason == "Unexpected"
    assert "/v2/pier-nodes/manifests/none" in told.message


def test_the_agents_user_can_pull_nothing_else(claim: Claim, pier: Running) -> None:
    with pier.client(claim.user, claim.password) as client:
        assert client.get("/v2/team/app/manifests/1").status_code == 403
        assert client.post("/v2/pier-nodes/blobs/uploads/").status_code == 403


def test_a_closed_port_and_an_unknown_name_are_told(claim: Claim, address: str) -> None:
    closed = f"{address}:{free_port()}"
    told = pulling.verdict(Claim(closed, claim.authorities, claim.user, claim.password))
    assert told.reason == "Unreachable"
    told = pulling.verdict(Claim("nowhere.invalid", claim.authorities, claim.user, claim.password))
    assert told.reason == "UnknownHost"
    assert "nowhere.invalid" in told.message


def test_a_good_answer_holds_and_a_bad_one_is_asked_for_again_each_time_later(
    node: Node, authorities: tuple[str, str]
) -> None:
    clock = [0.0]
    asked: list[float] = []
    answers = {"reason": "Unreachable"}

    def ask(claim: Claim) -> Verdict:
        asked.append(clock[0])
        return Verdict(claim.mark, answers["reason"])

    agent = node.agent(ask, clock=lambda: clock[0])
    node.give(Claim("registry.example.org", authorities[0], "pier-nodes", "secret"))
    for clock[0] in map(float, range(100)):
        agent.round()
    assert asked == [0, 1, 3, 7, 15, 31, 61, 91]
    answers["reason"] = TRUSTED
    for clock[0] in map(float, range(100, 1000)):
        agent.round()
    assert asked[8:] == [121, 721]
    node.give(Claim("registry.example.org", authorities[0], "pier-nodes", "another"))
    agent.round()
    assert asked[10:] == [999]
