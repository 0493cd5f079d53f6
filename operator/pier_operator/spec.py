"""A PierRegistry as the operator reads it. The API server has checked it and filled in defaults: crds/ has both."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from pier_operator import api

_UNITS = {"h": 3600, "m": 60, "s": 1}
_MANAGED: dict[str, Any] = {"storage": {"size": "5Gi"}}


@dataclass(frozen=True, slots=True)
class Pods:
    """What is added to a pod."""

    labels: dict[str, str]
    annotations: dict[str, str]
    node_selector: dict[str, str]
    priority_class: str
    tolerations: list[dict[str, Any]]
    spread: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Volume:
    size: str
    storage_class: str | None
    access_mode: str = "ReadWriteOnce"
    existing_claim: str = ""


@dataclass(frozen=True, slots=True)
class User:
    name: str
    role: Literal["Admin", "Push", "Pull"]
    repositories: tuple[str, ...]
    secret: str = ""
    key: str = "password"


@dataclass(frozen=True, slots=True)
class Tls:
    source: Literal["SelfSigned", "CertManager", "Secret"]
    secret: str
    issuer: dict[str, str]
    leaf_life: timedelta
    authority_life: timedelta
    renew_at: float
    propagation: timedelta
    publish: bool


@dataclass(frozen=True, slots=True)
class Expose:
    type: Literal["ClusterIP", "LoadBalancer", "NodePort", "Ingress", "Gateway"]
    annotations: dict[str, str]
    fields: dict[str, Any]
    node_port: int | None
    ingress: dict[str, Any]
    parents: list[dict[str, Any]]
    trusted: tuple[str, ...]

    @property
    def by_plain_http(self) -> bool:
        """Whether something in front of the registry ends TLS."""
        return self.type in {"Ingress", "Gateway"}


@dataclass(frozen=True, slots=True)
class Server:
    """The registry container and its pod."""

    replicas: int
    workers: int
    v1: str
    untagged_grace: str
    max_layer: str
    resources: dict[str, Any]
    proxy_resources: dict[str, Any]
    pods: Pods


@dataclass(frozen=True, slots=True)
class ManagedDatabase:
    image: str
    volume: Volume
    resources: dict[str, Any]
    pods: Pods


@dataclass(frozen=True, slots=True)
class ExternalDatabase:
    host: str
    port: int
    name: str
    credentials: str
    tls_mode: Literal["Disabled", "Required", "VerifyCA", "VerifyIdentity"]
    authority: str


@dataclass(frozen=True, slots=True)
class Monitoring:
    enabled: bool
    labels: dict[str, str]
    rule: bool


@dataclass(frozen=True, slots=True)
class Registry:
    """One PierRegistry. `annotations` are the resource's own."""

    name: str
    namespace: str
    uid: str
    generation: int
    annotations: dict[str, str]
    mode: Literal["Active", "ReadOnly", "Hibernated"]
    paused: bool
    retain: bool
    host: str
    extra_hosts: tuple[str, ...]
    expose: Expose
    tls: Tls
    anonymous_pull: bool
    users: tuple[User, ...]
    server: Server
    storage: Volume
    managed: ManagedDatabase | None
    external: ExternalDatabase | None
    monitoring: Monitoring
    network_policy: bool
    allow_from: tuple[str, ...]
    ingress_from: tuple[dict[str, Any], ...]
    monitoring_from: tuple[dict[str, Any], ...]
    pull_user: str
    node_trust: bool

    @property
    def key(self) -> tuple[str, str]:
        return self.namespace, self.name

    def referenced_secrets(self) -> list[str]:
        """Names of Secrets that the user made and this registry reads."""
        names = [user.secret for user in self.users if user.secret]
        if self.tls.secret:
            names.append(self.tls.secret)
        if self.external:
            names += [name for name in (self.external.credentials, self.external.authority) if name]
        return sorted(set(names))


def parse(manifest: api.Manifest) -> Registry:
    """Raises KeyError for a resource that the API server has not filled in, which only an older CRD can leave so."""
    meta, spec = manifest["metadata"], manifest["spec"]
    database = spec["database"]
    return Registry(
        name=meta["name"],
        namespace=meta["namespace"],
        uid=meta["uid"],
        generation=meta["generation"],
        annotations=api.annotations_of(manifest),
        mode=spec["mode"],
        paused=spec["paused"] or api.annotations_of(manifest).get(api.PAUSED) == "true",
        retain=spec["deletionPolicy"] == "Retain",
        host=spec.get("host", ""),
        extra_hosts=tuple(spec.get("extraHosts", ())),
        expose=_expose(spec["expose"]),
        tls=_tls(spec["tls"]),
        anonymous_pull=spec["auth"]["anonymousPull"],
        users=tuple(map(_user, spec["auth"].get("users", ()))),
        server=_server(spec["registry"], spec["proxy"]),
        storage=_volume(spec["storage"]["persistentVolume"]),
        managed=_managed(database.get("managed", _MANAGED)) if database["type"] == "Managed" else None,
        external=_external(database["external"]) if database["type"] == "External" else None,
        monitoring=_monitoring(spec["monitoring"]),
        network_policy=spec["networkPolicy"]["enabled"],
        allow_from=tuple(spec["networkPolicy"].get("allowFrom", ())),
        ingress_from=tuple(spec["networkPolicy"].get("ingressFrom", ())),
        monitoring_from=tuple(spec["networkPolicy"].get("monitoringFrom", ())),
        pull_user=spec["pullSecret"].get("user", ""),
        node_trust=spec["nodeTrust"]["enabled"],
    )


def duration(text: str) -> timedelta:
    """`2160h`, `10m30s`."""
    return timedelta(seconds=sum(int(count) * _UNITS[unit] for count, unit in re.findall(r"(\d+)([hms])", text)))


def _expose(given: dict[str, Any]) -> Expose:
    service = given["service"]
    passed = ("loadBalancerClass", "loadBalancerSourceRanges", "externalTrafficPolicy")
    return Expose(
        type=given["type"],
        annotations=service.get("annotations", {}),
        fields={name: service[name] for name in passed if name in service},
        node_port=service.get("nodePort"),
        ingress=given.get("ingress", {}),
        parents=given.get("gateway", {}).get("parentRefs", []),
        trusted=tuple(given.get("trustedProxies", ())),
    )


def _tls(given: dict[str, Any]) -> Tls:
    return Tls(
        source=given["source"],
        secret=given.get("secretName", ""),
        issuer=given.get("issuerRef", {}),
        leaf_life=duration(given["leafLifetime"]),
        authority_life=duration(given["caLifetime"]),
        renew_at=given["renewAtPercent"] / 100,
        propagation=duration(given["caPropagation"]),
        publish=given["publishCA"],
    )


def _user(given: dict[str, Any]) -> User:
    reference = given.get("passwordSecretRef", {})
    return User(
        name=given["name"],
        role=given["role"],
        repositories=tuple(given["repositories"]),
        secret=reference.get("name", ""),
        key=reference.get("key", "password"),
    )


def _server(given: dict[str, Any], proxy: dict[str, Any]) -> Server:
    return Server(
        replicas=given["replicas"],
        workers=given["workers"],
        v1=given["v1"],
        untagged_grace=given["untaggedGrace"],
        max_layer=given["maxLayer"],
        resources=given.get("resources", {}),
        proxy_resources=proxy.get("resources", {}),
        pods=_pods(given["podTemplate"]),
    )


def _volume(given: dict[str, Any]) -> Volume:
    return Volume(
        size=given["size"],
        storage_class=given.get("storageClassName"),
        access_mode=given.get("accessMode", "ReadWriteOnce"),
        existing_claim=given.get("existingClaim", ""),
    )


def _managed(given: dict[str, Any]) -> ManagedDatabase:
    return ManagedDatabase(
        image=given.get("image", ""),
        volume=_volume(given["storage"]),
        resources=given.get("resources", {}),
        pods=_pods(given.get("podTemplate", {})),
    )


def _external(given: dict[str, Any]) -> ExternalDatabase:
    return ExternalDatabase(
        host=given["host"],
        port=given["port"],
        name=given["name"],
        credentials=given["credentialsSecretName"],
        tls_mode=given["tlsMode"],
        authority=given.get("caSecretName", ""),
    )


def _monitoring(given: dict[str, Any]) -> Monitoring:
    return Monitoring(enabled=given["enabled"], labels=given.get("labels", {}), rule=given["prometheusRule"])


def _pods(given: dict[str, Any]) -> Pods:
    return Pods(
        labels=given.get("labels", {}),
        annotations=given.get("annotations", {}),
        node_selector=given.get("nodeSelector", {}),
        priority_class=given.get("priorityClassName", ""),
        tolerations=given.get("tolerations", []),
        spread=given.get("topologySpreadConstraints", []),
    )
