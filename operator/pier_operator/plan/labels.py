"""Labels and owner of every child."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from pier_operator import __version__, api
from pier_operator.api import Manifest
from pier_operator.plan.child import Child
from pier_operator.spec import Registry

COMPONENT: Final = "app.kubernetes.io/component"


def selector(registry: Registry, component: str) -> dict[str, str]:
    """Never changes, because selectors of workloads cannot."""
    return {
        "app.kubernetes.io/name": "pier",
        "app.kubernetes.io/instance": registry.name,
        COMPONENT: component,
    }


def of_pods(registry: Registry, component: str) -> dict[str, str]:
    return {
        **selector(registry, component),
        "app.kubernetes.io/part-of": "pier",
        "app.kubernetes.io/managed-by": api.MANAGER,
        api.REGISTRY: registry.name,
    }


def stamped(registry: Registry, child: Child) -> Child:
    """The child with its namespace, labels, and owner unless it outlives the registry."""
    owned = not (child.retained and registry.retain)
    meta = {
        **child.manifest["metadata"],
        "namespace": registry.namespace,
        "labels": {
            **child.manifest["metadata"].get("labels", {}),
            **of_pods(registry, _component(child)),
            "app.kubernetes.io/version": __version__,
            api.OWNER_UID: registry.uid,
        },
    }
    if owned:
        meta["ownerReferences"] = [_owner(registry)]
    return replace(child, manifest={**child.manifest, "metadata": meta})


def _owner(registry: Registry) -> Manifest:
    return {
        "apiVersion": api.PIER_REGISTRY.api_version,
        "kind": api.PIER_REGISTRY.name,
        "name": registry.name,
        "uid": registry.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def _component(child: Child) -> str:
    """What a child is part of: of the database, of the migration, and of the registry else."""
    if child.kind == "Job":
        return "migration"
    parts = ("-mysql", "-db", "-db-init", "-db-tls", "-db-url")
    return "database" if child.name.endswith(parts) else "registry"
