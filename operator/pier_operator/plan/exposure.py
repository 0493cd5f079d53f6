"""Services in front of the registry, and the names that it is reached by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from pier_operator import x509
from pier_operator.api import Manifest
from pier_operator.plan import front, labels
from pier_operator.plan.child import Child, Condition, Plan, Situation, manifest, together

EXPOSED: Final = "Exposed"
_PORT: Final = 443


@dataclass(frozen=True, slots=True)
class Names:
    """`outside` is what clients beyond the cluster use, empty while there is none; `inside` is the Service."""

    outside: str
    inside: str
    all: tuple[str, ...]

    @property
    def endpoint(self) -> str:
        return self.outside or self.inside


def names(situation: Situation) -> Names:
    """The host asked for, else the address of the load balancer; and the Service's own names."""
    registry = situation.registry
    addresses = _balancers(situation)
    outside = registry.host or next(iter(addresses), "")
    service = [registry.name, f"{registry.name}.{registry.namespace}", f"{registry.name}.{registry.namespace}.svc"]
    every = [outside, *registry.extra_hosts, *addresses, *service, f"{service[-1]}.cluster.local"]
    node_port = _node_port(situation) if registry.expose.type == "NodePort" else None
    told = f"{outside}:{node_port}" if outside and node_port else outside
    return Names(told, service[-1], tuple(dict.fromkeys(name for name in every if name)))


def exposure(situation: Situation) -> Plan:
    children = (Child(_service(situation)), Child(_private(situation)))
    return together([Plan(children, (_condition(situation),)), front.front(situation)])


def address(situation: Situation) -> str:
    """The Service's address inside of the cluster, empty while it has none."""
    service = situation.observed.child("Service", situation.named())
    held = str((service or {"spec": {}})["spec"].get("clusterIP", ""))
    return held if x509.is_address(held) else ""


def _service(situation: Situation) -> Manifest:
    expose = situation.registry.expose
    port: dict[str, Any] = {"name": "https", "port": _PORT, "targetPort": "https", "protocol": "TCP"}
    if expose.node_port and expose.type != "ClusterIP":
        port["nodePort"] = expose.node_port
    spec = {
        "type": "ClusterIP" if expose.by_plain_http else expose.type,
        "selector": labels.selector(situation.registry, "registry"),
        "ports": [port],
        **expose.fields,
    }
    held = manifest("Service", situation.named(), spec=spec)
    if expose.annotations:
        held["metadata"]["annotations"] = dict(expose.annotations)
    return held


def _private(situation: Situation) -> Manifest:
    """For metrics, on a port that no client reaches."""
    spec = {
        "clusterIP": "None",
        "selector": labels.selector(situation.registry, "registry"),
        "ports": [{"name": "private", "port": 9090, "targetPort": "private", "protocol": "TCP"}],
    }
    return manifest("Service", situation.named("metrics"), spec=spec)


def _condition(situation: Situation) -> Condition:
    service = situation.observed.child("Service", situation.named())
    kind = situation.registry.expose.type
    if service is None:
        return Condition(EXPOSED, False, "Waiting", "the Service is not there yet")
    if kind == "LoadBalancer" and not _balancers(situation):
        text = f"Service {situation.named()} waits for a load balancer: see its events when that lasts"
        return Condition(EXPOSED, False, "WaitingForLoadBalancer", text)
    if situation.registry.expose.by_plain_http:
        return front.condition(situation)
    if kind == "ClusterIP":
        return Condition(EXPOSED, True, "InsideOnly", "reached from inside the cluster only, as asked for")
    return Condition(EXPOSED, True, kind, f"Service {situation.named()} takes requests")


def _balancers(situation: Situation) -> list[str]:
    service = situation.observed.child("Service", situation.named())
    if service is None or situation.registry.expose.type != "LoadBalancer":
        return []
    points = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
    return [str(point.get("hostname") or point.get("ip")) for point in points]


def _node_port(situation: Situation) -> int | None:
    service = situation.observed.child("Service", situation.named())
    ports = service["spec"].get("ports", []) if service else []
    return next((port.get("nodePort") for port in ports if port["name"] == "https"), None)
