"""Who may reach what: NetworkPolicies; and how many pods may go at once: a PodDisruptionBudget."""

from __future__ import annotations

from typing import Any

from pier_operator.api import Manifest
from pier_operator.plan import labels
from pier_operator.plan.child import Child, Plan, Situation, manifest
from pier_operator.plan.database import PORT
from pier_operator.plan.server import HTTPS, PLAIN, PRIVATE


def network(situation: Situation) -> Plan:
    """Only what comes in is ruled: what goes out is the cluster's business."""
    if not situation.registry.network_policy:
        return Plan()
    children = [Child(_registry(situation))]
    if situation.registry.managed:
        children.append(Child(_database(situation)))
    return Plan(tuple(children))


def disruption(situation: Situation) -> Plan:
    """With one pod a budget would only stand in the way of whoever empties a node."""
    if situation.registry.server.replicas < 2 or situation.registry.mode == "Hibernated":
        return Plan()
    spec = {"maxUnavailable": 1, "selector": {"matchLabels": labels.selector(situation.registry, "registry")}}
    return Plan((Child(manifest("PodDisruptionBudget", situation.named(), spec=spec)),))


def _registry(situation: Situation) -> Manifest:
    """Clients at the front door; monitoring and the operator at the private port."""
    clients: dict[str, Any] = {"ports": [_port(HTTPS)]}
    if situation.registry.allow_from:
        clients["from"] = [{"ipBlock": {"cidr": network}} for network in situation.registry.allow_from]
        clients["from"].append(_operator(situation))
    private = {"ports": [_port(PRIVATE)], "from": _watchers(situation)}
    rules = [clients, private]
    if situation.registry.expose.by_plain_http:
        rules.append({"ports": [_port(PLAIN)], "from": [_peer(each) for each in situation.registry.ingress_from]})
    return _policy(situation, situation.named(), "registry", rules)


def _operator(situation: Situation) -> dict[str, Any]:
    home = {"kubernetes.io/metadata.name": situation.settings.namespace}
    return _peer({"namespaceLabels": home, "podLabels": {"app.kubernetes.io/name": "pier-operator"}})


def _watchers(situation: Situation) -> list[dict[str, Any]]:
    """Where monitoring is asked for and nobody says where it runs, all pods of the cluster."""
    named = situation.registry.monitoring_from
    if situation.registry.monitoring.enabled and not named:
        return [{"namespaceSelector": {}}]
    return [_operator(situation), *(_peer(each) for each in named)]


def _peer(given: dict[str, Any]) -> dict[str, Any]:
    """Pods with these labels in namespaces with these labels."""
    peer = {"namespaceSelector": {"matchLabels": given["namespaceLabels"]}}
    if given.get("podLabels"):
        peer["podSelector"] = {"matchLabels": given["podLabels"]}
    return peer


def _database(situation: Situation) -> Manifest:
    allowed = [
        {"podSelector": {"matchLabels": labels.selector(situation.registry, component)}}
        for component in ("registry", "migration")
    ]
    return _policy(situation, situation.named("mysql"), "database", [{"ports": [_port(PORT)], "from": allowed}])


def _policy(situation: Situation, name: str, component: str, ingress: list[dict[str, Any]]) -> Manifest:
    spec = {
        "podSelector": {"matchLabels": labels.selector(situation.registry, component)},
        "policyTypes": ["Ingress"],
        "ingress": ingress,
    }
    return manifest("NetworkPolicy", name, spec=spec)


def _port(number: int) -> dict[str, Any]:
    return {"port": number, "protocol": "TCP"}
