"""Pods of users, whose images come from a registry on the cluster."""

from __future__ import annotations

import json

from tests.cluster.registry import Registry


def runs(registry: Registry, image: str) -> None:
    """A Deployment of the image becomes available, with the pull secret that the registry has made."""
    restricted = {
        "allowPrivilegeEscalation": False,
        "runAsNonRoot": True,
        "runAsUser": 65534,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    container = {
        "name": "small",
        "image": f"{registry.host}/{image}",
        "command": ["/bin/busybox", "sleep", "600"],
        "securityContext": restricted,
    }
    spec = {"containers": [container], "imagePullSecrets": [{"name": f"{registry.name}-pull"}]}
    labels = {"app": "small"}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "small", "namespace": registry.namespace},
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": spec}},
    }
    kubectl = registry.cluster.kubectl
    kubectl("apply", "-f", "-", stdin=json.dumps(deployment))
    told = kubectl("rollout", "status", "deployment/small", "-n", registry.namespace, "--timeout=50s", check=False)
    assert "successfully rolled out" in told, kubectl("describe", "pods", "-n", registry.namespace, "-l", "app=small")
    kubectl("delete", "deployment", "small", "-n", registry.namespace)
