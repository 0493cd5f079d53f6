"""What all pods have in common: the restricted profile, and what the user adds to the template."""

from __future__ import annotations

from typing import Any, Final

from pier_operator import api
from pier_operator.api import Manifest
from pier_operator.plan.child import Situation
from pier_operator.spec import Pods

_STUCK: Final = frozenset(
    {"ImagePullBackOff", "ErrImagePull", "InvalidImageName", "CrashLoopBackOff", "CreateContainerConfigError"}
)
CONTAINER: Final[Manifest] = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


def template(situation: Situation, labels: dict[str, str], pods: Pods, user: int | None, **spec: Any) -> Manifest:
    """A pod template; `user` None leaves ids to the cluster. The user's labels never replace the selector's."""
    meta: Manifest = {"labels": {**pods.labels, **labels}}
    return {"metadata": meta, "spec": {**_common(situation, user), **_scheduling(pods, labels), **spec}}


def restarted_by(held: Manifest, pods: Pods, **marks: str) -> Manifest:
    """The template with annotations that make pods restart when they change."""
    named = {f"registry.pier.dev/{name.replace('_', '-')}": value for name, value in marks.items()}
    held["metadata"]["annotations"] = {**pods.annotations, **named}
    return held


def _common(situation: Situation, user: int | None) -> Manifest:
    security: Manifest = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    if user is not None:
        security |= {"runAsUser": user, "runAsGroup": user, "fsGroup": user}
    security["fsGroupChangePolicy"] = "OnRootMismatch"
    common: Manifest = {
        "securityContext": security,
        "serviceAccountName": situation.named(),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
    }
    if situation.settings.image_pull_secrets:
        common["imagePullSecrets"] = [{"name": name} for name in situation.settings.image_pull_secrets]
    return common


def _scheduling(pods: Pods, labels: dict[str, str]) -> Manifest:
    given: Manifest = {
        "nodeSelector": pods.node_selector,
        "tolerations": pods.tolerations,
        "priorityClassName": pods.priority_class,
        "topologySpreadConstraints": [{**each, "labelSelector": {"matchLabels": labels}} for each in pods.spread],
    }
    return {key: value for key, value in given.items() if value}


def trouble(situation: Situation, component: str) -> str:
    """Why a pod of this component does not start, in the words of the kubelet; empty while none is stuck."""
    for each in situation.observed.pods:
        if api.labels_of(each).get("app.kubernetes.io/component") != component:
            continue
        for container in (each.get("status") or {}).get("containerStatuses", []):
            waiting = (container.get("state") or {}).get("waiting") or {}
            if waiting.get("reason") in _STUCK:
                said = f"{waiting['reason']}: {waiting.get('message', '')}".strip(": ")
                return f"container {container['name']} of pod {api.name_of(each)} does not start: {said}"
    return ""


def last_words(situation: Situation, component: str) -> str:
    """What the last container of this component said that failed; empty while none has."""
    ended: list[Manifest] = [
        held
        for each in situation.observed.pods
        if api.labels_of(each).get("app.kubernetes.io/component") == component
        for container in (each.get("status") or {}).get("containerStatuses", [])
        if (held := (container.get("state") or {}).get("terminated")) and held.get("exitCode")
    ]
    ended.sort(key=lambda held: str(held.get("finishedAt", "")))
    said = str(ended[-1].get("message", "")) if ended else ""
    return next((line.strip() for line in reversed(said.split("\n")) if line.strip()), "")[:400]


def from_secret(variable: str, name: str, key: str) -> Manifest:
    return {"name": variable, "valueFrom": {"secretKeyRef": {"name": name, "key": key}}}


def resources(given: Manifest, cpu: str, memory: str, limit: str) -> Manifest:
    """The user's, or small requests and a limit of memory."""
    return given or {"requests": {"cpu": cpu, "memory": memory}, "limits": {"memory": limit}}
