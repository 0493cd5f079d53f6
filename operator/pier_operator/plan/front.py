"""A front door that is not ours: an Ingress or a Gateway ends TLS, and speaks plain http to the pods."""

from __future__ import annotations

from typing import Any, Final

from pier_operator.api import Manifest
from pier_operator.plan import labels
from pier_operator.plan.child import Child, Condition, Plan, Situation, manifest

_EXPOSED: Final = "Exposed"
_PORT: Final = 80


def front(situation: Situation) -> Plan:
    """The Service of the plain port, and what leads to it."""
    expose = situation.registry.expose
    if not expose.by_plain_http:
        return Plan()
    children = [Child(_service(situation))]
    if expose.type == "Ingress":
        children.append(Child(_ingress(situation)))
    elif "HTTPRoute" in situation.observed.apis:
        children.append(Child(_route(situation)))
    return Plan(tuple(children))


def condition(situation: Situation) -> Condition:
    """What is in front is not ours to judge, unless it says no: HostReachable tells whether it works."""
    if situation.registry.expose.type == "Ingress":
        return Condition(_EXPOSED, True, "Ingress", f"Ingress {situation.named()} leads to the registry")
    if "HTTPRoute" not in situation.observed.apis:
        text = "the Gateway API is not installed in this cluster: install it, or choose another expose.type"
        return Condition(_EXPOSED, False, "GatewayMissing", text)
    refusal = _refusal(situation)
    if refusal:
        return Condition(_EXPOSED, False, "RouteRefused", f"HTTPRoute {situation.named()} is refused: {refusal}")
    text = f"HTTPRoute {situation.named()} leads to the registry; the Gateway ends TLS with a certificate of its own"
    return Condition(_EXPOSED, True, "Gateway", text)


def hosts(situation: Situation) -> list[str]:
    return [situation.registry.host, *situation.registry.extra_hosts]


def _service(situation: Situation) -> Manifest:
    spec = {
        "selector": labels.selector(situation.registry, "registry"),
        "ports": [{"name": "plain", "port": _PORT, "targetPort": "plain", "protocol": "TCP"}],
    }
    return manifest("Service", situation.named("plain"), spec=spec)


def _ingress(situation: Situation) -> Manifest:
    """With the registry's own certificate, so that the CA that is published is the one in force."""
    given = situation.registry.expose.ingress
    backend = {"service": {"name": situation.named("plain"), "port": {"name": "plain"}}}
    rule = {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}
    tls = situation.registry.tls.secret or situation.named("tls")
    spec: dict[str, Any] = {
        "rules": [{"host": host, "http": rule} for host in hosts(situation)],
        "tls": [{"hosts": hosts(situation), "secretName": tls}],
    }
    if "className" in given:
        spec["ingressClassName"] = given["className"]
    held = manifest("Ingress", situation.named(), spec=spec)
    if given.get("annotations"):
        held["metadata"]["annotations"] = dict(given["annotations"])
    return held


def _route(situation: Situation) -> Manifest:
    backend = {"group": "", "kind": "Service", "name": situation.named("plain"), "port": _PORT, "weight": 1}
    spec = {
        "parentRefs": situation.registry.expose.parents,
        "hostnames": hosts(situation),
        "rules": [{"matches": [{"path": {"type": "PathPrefix", "value": "/"}}], "backendRefs": [backend]}],
    }
    return manifest("HTTPRoute", situation.named(), spec=spec)


def _refusal(situation: Situation) -> str:
    route = situation.observed.child("HTTPRoute", situation.named()) or {}
    for parent in (route.get("status") or {}).get("parents", []):
        for each in parent.get("conditions", []):
            if each["type"] in {"Accepted", "ResolvedRefs"} and each["status"] == "False":
                return str(each.get("message") or each.get("reason", ""))
    return ""
