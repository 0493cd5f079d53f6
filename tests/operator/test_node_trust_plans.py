"""What nodes are asked to trust, and what is told of them: each case by itself."""

from __future__ import annotations

from typing import Any

import pytest

from pier_operator.api import Manifest
from pier_operator.claim import TRUSTED, Claim, Verdict, report, told
from pier_operator.plan import plan
from pier_operator.plan.child import Condition, Plan, Situation
from pier_operator.plan.nodes import CONDITION, Told, folded, rivals
from pier_operator.settings import Settings
from tests.operator import golden
from tests.operator.planning import named, resource, secret, settled, situation, texts

_HOST = "registry.example.org"
_ASKING: Manifest = {"host": _HOST, "nodeTrust": {"enabled": True}}


def _situation(spec: Manifest, *allowed: str, **given: Any) -> Situation:
    found = situation(spec, **given)
    settings = Settings(node_trust_hosts=allowed)
    return Situation(found.registry, found.observed, settings, found.now, found.chance)


def _planned(spec: Manifest, *allowed: str, **given: Any) -> Plan:
    return plan(_situation(spec, *allowed, children=settled(spec, **given), **given))


def _condition(planned: Plan) -> Condition:
    found = planned.condition(CONDITION)
    assert found
    assert "node-trust" not in planned.facts
    return found


def test_a_registry_that_asks_and_is_allowed_makes_a_claim() -> None:
    children = settled(_ASKING)
    planned = plan(_situation(_ASKING, _HOST, children=children))
    published = named(children, "ConfigMap", "pier-ca")["data"]["ca.crt"]
    password = texts(named(children, "Secret", "pier-users"))["pier-nodes"]
    assert planned.condition(CONDITION) is None
    assert planned.facts["node-trust"] == Claim(_HOST, published, "pier-nodes", password)


def test_a_node_port_is_part_of_the_host() -> None:
    spec = {**_ASKING, "expose": {"type": "NodePort", "service": {"nodePort": 30443}}}
    assert _planned(spec, "*.example.org").facts["node-trust"].host == f"{_HOST}:30443"


def test_behind_an_ingress_the_registrys_own_ca_is_in_force() -> None:
    spec = {**golden.CASES["ingress"], "nodeTrust": {"enabled": True}}
    assert "BEGIN CERTIFICATE" in _planned(spec, _HOST).facts["node-trust"].authorities


def test_a_gateway_needs_nothing_on_nodes() -> None:
    spec = {**golden.CASES["gateway"], "nodeTrust": {"enabled": True}}
    found = _condition(_planned(spec, _HOST))
    assert (found.holds, found.reason) == (True, "NotNeeded")


@pytest.mark.parametrize("ca", ["", "with"])
def test_a_certificate_of_a_public_ca_needs_nothing_on_nodes(ca: str) -> None:
    """A Secret of the user names a CA only when that is not a public one."""
    spec = {**_ASKING, "tls": {"source": "Secret", "secretName": "mine"}}
    made = texts(named(settled(_ASKING), "Secret", "pier-tls"))
    held = {"tls__crt": made["tls.crt"], "tls__key": made["tls.key"]} | ({"ca__crt": made["ca.crt"]} if ca else {})
    planned = _planned(spec, _HOST, references=(secret("mine", **held),))
    if ca:
        assert planned.facts["node-trust"].authorities == made["ca.crt"]
    else:
        found = _condition(planned)
        assert (found.holds, found.reason) == (True, "NotNeeded")


def test_without_a_certificate_nodes_wait() -> None:
    spec = {**_ASKING, "tls": {"source": "Secret", "secretName": "mine"}}
    found = _condition(_planned(spec, _HOST))
    assert (found.holds, found.reason) == (None, "Waiting")


def test_a_name_that_only_the_cluster_knows_is_none_for_nodes() -> None:
    found = _condition(_planned({"nodeTrust": {"enabled": True}}, "*.team.svc"))
    assert (found.holds, found.reason) == (None, "NoHost")
    assert "set host" in found.message


@pytest.mark.parametrize("allowed", [(), ("other.example.org",), ("*.org",), ("*.registry.example.org",)])
def test_what_is_not_allowed_says_which_value_to_set(allowed: tuple[str, ...]) -> None:
    found = _condition(_planned(_ASKING, *allowed))
    assert (found.holds, found.reason) == (False, "NotAllowed")
    assert f"put {_HOST} into nodeTrust.allowedHosts of the operator's chart" in found.message


def test_who_does_not_ask_is_told_what_to_type() -> None:
    found = _condition(_planned({"host": _HOST}, _HOST))
    assert (found.holds, found.reason) == (None, "NotRequested")
    folder = f"/etc/containerd/certs.d/{_HOST}"
    asked = "kubectl get configmap pier-ca --namespace team --output jsonpath='{.data.ca\\.crt}'"
    assert f"mkdir -p {folder}; {asked} > {folder}/ca.crt" in found.message
    hidden = _condition(_planned({"host": _HOST, "tls": {"publishCA": False}}))
    assert "kubectl get secret pier-tls" in hidden.message
    assert "| base64 --decode >" in hidden.message


def test_only_who_asks_has_a_user_for_nodes() -> None:
    def users(spec: Manifest) -> set[str]:
        held = texts(named(settled(spec), "Secret", "pier-users-file"))["users.htpasswd"]
        return {line.partition(":")[0] for line in held.splitlines()}

    assert users(_ASKING) - users({"host": _HOST}) == {"pier-nodes"}
    assert _planned(_ASKING, _HOST).facts["users"] == _planned({"host": _HOST}).facts["users"]


def _other(name: str, spec: Manifest, endpoint: str = "") -> Manifest:
    held = resource(spec)
    held["metadata"] |= {"name": name, "namespace": "other"}
    return {**held, "status": {"endpoint": endpoint}} if endpoint else held


@pytest.mark.parametrize(
    ("other", "is_rival"),
    [
        (_other("a", _ASKING), True),
        (_other("a", _ASKING, _HOST), True),
        (_other("a", {"nodeTrust": {"enabled": True}, "expose": {"type": "LoadBalancer"}}, _HOST), True),
        (_other("a", _ASKING, "before.example.org"), True),
        (_other("a", {"host": _HOST}, _HOST), False),
        (_other("a", {**_ASKING, "expose": {"type": "NodePort"}}), False),
        (_other("a", {**_ASKING, "expose": {"type": "NodePort"}}, f"{_HOST}:30443"), False),
        (_other("a", {**golden.CASES["gateway"], "nodeTrust": {"enabled": True}}, _HOST), False),
        (_other("a", {"nodeTrust": {"enabled": True}}, "a.other.svc"), False),
    ],
)
def test_a_rival_is_who_asks_for_the_same_host(other: Manifest, is_rival: bool) -> None:
    mine = {**resource(_ASKING), "status": {"endpoint": _HOST}}
    assert rivals(situation(_ASKING), _HOST, [mine, other]) == ([("other", "a")] if is_rival else [])


_CLAIM = Claim(_HOST, "a CA", "pier-nodes", "secret")
_GOOD = {_HOST: Verdict(_CLAIM.mark, TRUSTED)}
_OLD = {_HOST: Verdict("another", TRUSTED)}


def _bad(message: str) -> dict[str, Verdict]:
    return {_HOST: Verdict(_CLAIM.mark, "FileTaken", message)}


def _pod(node: str, ready: bool = True, state: Manifest | None = None, **meta: Any) -> Manifest:
    status = {
        "conditions": [{"type": "Ready", "status": str(ready)}],
        "containerStatuses": [{"state": state or {"running": {}}}],
    }
    return {"metadata": {"name": f"agent-{node}", **meta}, "spec": {"nodeName": node}, "status": status}


def _told(pods: list[Manifest], **reports: dict[str, Verdict]) -> Told:
    return folded(_CLAIM, pods, reports)


def test_nodes_trust_when_each_that_is_up_says_so() -> None:
    found = _told([_pod("a"), _pod("b"), _pod("down", ready=False)], a=_GOOD, b=_GOOD, down=_OLD)
    assert (found.condition.holds, found.condition.reason) == (True, "Trusted")
    assert (found.nodes, found.trusted) == (2, 2)


def test_a_verdict_on_a_claim_of_before_does_not_count() -> None:
    found = _told([_pod("a"), _pod("b")], a=_GOOD, b=_OLD)
    assert (found.condition.holds, found.condition.reason) == (False, "Spreading")
    assert found.condition.message == f"1 of 2 nodes trust {_HOST}; not yet: b"
    assert (found.nodes, found.trusted) == (2, 1)


def test_no_more_than_three_nodes_are_named() -> None:
    names = [f"node-{number}" for number in range(9)]
    late = _told([_pod(name) for name in names])
    assert late.condition.message == f"0 of 9 nodes trust {_HOST}; not yet: node-0, node-1, node-2 and 6 more"
    bad = _told([_pod(name) for name in names], **{name: _bad("x" * 300) for name in names[1:]})
    assert bad.condition.reason == "FileTaken"
    assert bad.condition.message.startswith(f"0 of 9 nodes trust {_HOST}; node-1: xxx")
    assert bad.condition.message.endswith(" and 5 more")
    assert "node-4" not in bad.condition.message
    assert len(bad.condition.message) < 1024 + 100


def test_an_agent_that_cannot_run_is_named() -> None:
    waiting = {"waiting": {"reason": "ImagePullBackOff"}}
    found = _told([_pod("a"), _pod("b", ready=False, state=waiting)], a=_GOOD)
    assert found.condition.reason == "AgentNotRunning"
    assert "b: pod agent-b of its agent does not run (ImagePullBackOff)" in found.condition.message
    starting = _told([_pod("b", ready=False, state={"waiting": {"reason": "ContainerCreating"}})])
    assert starting.condition.reason == "Spreading"


def test_without_agents_nothing_is_trusted() -> None:
    for pods in ([], [_pod("a", deletionTimestamp="2026-11-25T12:00:00Z")]):
        found = _told(pods, a=_GOOD)
        assert (found.condition.holds, found.condition.reason) == (False, "NoAgents")


def test_a_report_is_read_as_it_was_written_and_one_that_is_none_says_nothing() -> None:
    assert told(report(_bad("theirs"))) == _bad("theirs")
    assert len(report(_bad("x" * 5000))) < 500
    for text in ("", "{", "[]", '"a"', "null", '{"a": 1}', '{"a": ["b"]}', '{"a": ["b", "c", "d", "e"]}'):
        assert told(text) == {}
