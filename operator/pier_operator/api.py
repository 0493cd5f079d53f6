"""Names of the API: group, kinds, labels, annotations and conditions. Every other module takes them from here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

Manifest = dict[str, Any]

GROUP: Final = "registry.pier.dev"
VERSION: Final = "v1alpha1"
MANAGER: Final = "pier-operator"
STATUS_MANAGER: Final = "pier-operator-status"

# Labels. The first is also the selector that the operator watches children by.
REGISTRY: Final = f"{GROUP}/registry"
OWNER_UID: Final = f"{GROUP}/owner-uid"
LEASE: Final = f"{GROUP}/operator"
AGENT: Final = f"{GROUP}/agent"

# Annotations.
APPLIED: Final = f"{GROUP}/applied-hash"
SECRETS_HASH: Final = f"{GROUP}/secrets-hash"
ROTATE_CA: Final = f"{GROUP}/rotate-ca"
PAUSED: Final = f"{GROUP}/paused"


@dataclass(frozen=True, slots=True)
class Kind:
    """Where the API server keeps objects of a kind."""

    name: str
    plural: str
    group: str = ""
    version: str = "v1"

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version


PIER_REGISTRY: Final = Kind("PierRegistry", "pierregistries", GROUP, VERSION)
POD: Final = Kind("Pod", "pods")
NAMESPACE: Final = Kind("Namespace", "namespaces")
EVENT: Final = Kind("Event", "events")
LEASES: Final = Kind("Lease", "leases", "coordination.k8s.io")

# What the operator makes. The last ones are there only when their projects are installed.
BUILT_IN: Final = (
    Kind("Secret", "secrets"),
    Kind("ConfigMap", "configmaps"),
    Kind("Service", "services"),
    Kind("ServiceAccount", "serviceaccounts"),
    Kind("PersistentVolumeClaim", "persistentvolumeclaims"),
    Kind("StatefulSet", "statefulsets", "apps"),
    Kind("Deployment", "deployments", "apps"),
    Kind("Job", "jobs", "batch"),
    Kind("NetworkPolicy", "networkpolicies", "networking.k8s.io"),
    Kind("PodDisruptionBudget", "poddisruptionbudgets", "policy"),
    Kind("Ingress", "ingresses", "networking.k8s.io"),
)
OPTIONAL: Final = (
    Kind("Certificate", "certificates", "cert-manager.io"),
    Kind("ServiceMonitor", "servicemonitors", "monitoring.coreos.com"),
    Kind("PrometheusRule", "prometheusrules", "monitoring.coreos.com"),
    Kind("HTTPRoute", "httproutes", "gateway.networking.k8s.io"),
)
KINDS: Final = {kind.name: kind for kind in (*BUILT_IN, *OPTIONAL, PIER_REGISTRY, POD, NAMESPACE, EVENT, LEASES)}


def name_of(manifest: Manifest) -> str:
    return str(manifest["metadata"]["name"])


def labels_of(manifest: Manifest) -> dict[str, str]:
    return manifest["metadata"].get("labels") or {}


def annotations_of(manifest: Manifest) -> dict[str, str]:
    return manifest["metadata"].get("annotations") or {}


def controller_of(manifest: Manifest) -> str:
    """The uid of the owner that controls it, or nothing."""
    owners = manifest["metadata"].get("ownerReferences") or []
    return next((str(owner["uid"]) for owner in owners if owner.get("controller")), "")
