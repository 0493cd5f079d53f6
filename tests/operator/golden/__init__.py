"""What plans look like, case by case. `python -m tests.operator.golden` writes the files anew: read the difference."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import yaml

from pier_operator import x509
from pier_operator.api import Manifest
from tests.operator.planning import NOW, secret, settled, texts

HERE: Final = Path(__file__).parent
REFERENCES: Final = (
    secret("alice", password="alice's own password"),
    secret("login", username="team", password="a/password:with@signs"),
    secret("authority", ca__crt="the database's CA"),
)
CASES: Final[dict[str, Manifest]] = {
    "default": {},
    "external-database": {
        "host": "registry.example.org",
        "expose": {"type": "LoadBalancer", "service": {"externalTrafficPolicy": "Local"}},
        "database": {
            "type": "External",
            "external": {"host": "db.example.org", "credentialsSecretName": "login", "caSecretName": "authority"},
        },
    },
    "many-pods": {
        "deletionPolicy": "Delete",
        "host": "registry.example.org",
        "expose": {"type": "NodePort", "service": {"nodePort": 30443}},
        "registry": {
            "replicas": 3,
            "v1": "Pull",
            "resources": {"requests": {"cpu": "500m"}},
            "podTemplate": {
                "labels": {"team": "platform"},
                "tolerations": [{"key": "storage", "operator": "Exists"}],
                "topologySpreadConstraints": [
                    {"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "ScheduleAnyway"}
                ],
            },
        },
        "storage": {"persistentVolume": {"accessMode": "ReadWriteMany", "storageClassName": "shared"}},
        "monitoring": {"enabled": True, "labels": {"prometheus": "main"}},
        "networkPolicy": {"allowFrom": ["10.0.0.0/8"]},
    },
    "users": {
        "auth": {
            "anonymousPull": True,
            "users": [
                {"name": "alice", "passwordSecretRef": {"name": "alice"}, "role": "Admin"},
                {"name": "ci", "repositories": ["team/*", "library/base"]},
                {"name": "reader", "role": "Pull"},
            ],
        },
        "pullSecret": {"user": "reader"},
    },
    "cert-manager": {
        "host": "registry.example.org",
        "extraHosts": ["192.0.2.10"],
        "tls": {"source": "CertManager", "issuerRef": {"name": "letsencrypt", "kind": "ClusterIssuer"}},
    },
    "ingress": {
        "host": "registry.example.org",
        "expose": {"type": "Ingress", "ingress": {"className": "traefik"}, "trustedProxies": ["10.0.0.0/8"]},
        "networkPolicy": {"ingressFrom": [{"namespaceLabels": {"kubernetes.io/metadata.name": "traefik"}}]},
    },
    "gateway": {
        "mode": "ReadOnly",
        "host": "registry.example.org",
        "expose": {"type": "Gateway", "gateway": {"parentRefs": [{"name": "front", "namespace": "gateways"}]}},
        "networkPolicy": {"enabled": False},
    },
    "hibernated": {"mode": "Hibernated"},
}


def rendered(case: str) -> str:
    """The children in the order in which they are made, with secrets in words."""
    found = settled(CASES[case], references=REFERENCES)
    return yaml.safe_dump_all([_shown(each) for each in found], sort_keys=False, width=120)


def children(case: str) -> list[Manifest]:
    """As they would be applied."""
    return [_planned(each) for each in settled(CASES[case], references=REFERENCES)]


def _planned(live: Manifest) -> Manifest:
    meta = {
        key: value for key, value in live["metadata"].items() if key not in {"generation", "resourceVersion", "uid"}
    }
    held = {**{key: value for key, value in live.items() if key != "status"}, "metadata": meta}
    if live["kind"] == "Service" and live["spec"].get("clusterIP") == "10.0.0.1":
        held["spec"] = {key: value for key, value in live["spec"].items() if key != "clusterIP"}
    return held


def _shown(live: Manifest) -> Manifest:
    held = _planned(live)
    if held["kind"] == "Secret":
        held["stringData"] = {key: _words(text) for key, text in texts(held).items()}
        del held["data"]
    if held["kind"] == "ConfigMap":
        held["data"] = {key: _words(text) for key, text in held["data"].items()}
    return held


def _words(text: str) -> Any:
    if "PRIVATE KEY" in text:
        return "(a private key)"
    found = x509.certificates(text)
    if not found:
        return text
    return [
        {
            "subject": each.subject.rfc4514_string(),
            "issuer": each.issuer.rfc4514_string(),
            "days": (each.not_valid_after_utc - NOW).days,
            "names": sorted(x509.names_of(each)),
        }
        for each in found
    ]


def main() -> None:
    for case in CASES:
        (HERE / f"{case}.yaml").write_text(rendered(case), encoding="utf-8")
