"""Where a push is tried, and as whom."""

from __future__ import annotations

from typing import Any

from pier_operator.plan.child import Plan, Situation
from pier_operator.plan.credentials import PROBE
from pier_operator.probe import HOST, REACHABLE, Target


def targets(situation: Situation, planned: Plan, address: str) -> list[Target]:
    """The Service at this address; and what clients outside use, once there is such a thing."""
    facts: dict[str, Any] = dict(planned.facts)
    host, _, port = facts["names"].outside.partition(":")
    found = [_target(situation, facts, REACHABLE, (address, 443))]
    if host and situation.registry.expose.type != "ClusterIP":
        found.append(_target(situation, facts, HOST, (host, int(port or 443))))
    return found


def _target(situation: Situation, facts: dict[str, Any], condition: str, place: tuple[str, int]) -> Target:
    expose = situation.registry.expose
    deployment = situation.observed.child("Deployment", situation.named()) or {"metadata": {}}
    marks = (
        *place,
        facts["users-hash"],
        facts.get("tls", {}).get("fingerprintSHA256", ""),
        situation.registry.mode,
        (deployment.get("status") or {}).get("readyReplicas"),
        deployment["metadata"].get("generation"),
    )
    return Target(
        condition=condition,
        address=place[0],
        port=place[1],
        host=facts["names"].all[0],
        authorities="" if condition == HOST and expose.type == "Gateway" else str(facts.get("bundle", "")),
        password=situation.observed.secret(situation.named("users")).get(PROBE, ""),
        read_only=situation.registry.mode == "ReadOnly",
        mark="/".join(map(str, marks)),
    )
