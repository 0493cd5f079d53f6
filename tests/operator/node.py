"""A node that binds volumes and pods, and tells of pods what a kubelet would tell.

It runs no containers; but the registry pods of `served` namespaces run as processes of this host.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from pier_operator import api
from pier_operator.api import Kind, Manifest
from pier_operator.kube import Kube, KubeError, path_of
from tests.operator.serving import ServingPod

_VOLUME: Final = Kind("PersistentVolume", "persistentvolumes")
_COMPONENT: Final = "app.kubernetes.io/component"
_MERGE: Final = "application/merge-patch+json"


@dataclass(slots=True)
class Node:
    """`held` pods, by namespace and component, stay as they are; `failing` ones fail."""

    kube: Kube
    held: set[tuple[str, str]] = field(default_factory=set)
    failing: set[tuple[str, str]] = field(default_factory=set)
    served: set[str] = field(default_factory=set)
    _pods: dict[str, ServingPod] = field(default_factory=dict)
    _followed: dict[str, str] = field(default_factory=dict)
    _ended: threading.Event = field(default_factory=threading.Event)
    _addresses: Any = field(default_factory=itertools.count)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        self.kube.request("POST", "/api/v1/nodes", body={"kind": "Node", "metadata": {"name": "node"}})
        self._thread = threading.Thread(target=self._run, name="node", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        if self._thread:
            self._thread.join(timeout=60)
        for pod in self._pods.values():
            pod.stop()

    def hold(self, namespace: str, *components: str) -> None:
        self.held |= {(namespace, component) for component in components}

    def release(self, namespace: str, *components: str) -> None:
        self.held -= {(namespace, component) for component in components}

    def _run(self) -> None:
        while not self._ended.wait(0.1):
            for each in self._listed(api.KINDS["PersistentVolumeClaim"]):
                self._try(self._bind_claim, each)
            for each in self._listed(api.POD):
                self._try(self._advance, each)

    def _listed(self, kind: Kind) -> list[Manifest]:
        try:
            return self.kube.every(kind)
        except KubeError:
            return []

    def _try(self, act: Callable[[Manifest], None], manifest: Manifest) -> None:
        try:
            act(manifest)
        except KubeError:
            return  # changed meanwhile: the next round sees it anew

    def _advance(self, pod: Manifest) -> None:
        place = (pod["metadata"]["namespace"], api.labels_of(pod).get(_COMPONENT, ""))
        if pod["metadata"].get("deletionTimestamp"):
            running = self._pods.pop(pod["metadata"]["uid"], None)
            if running:
                running.stop()
            body = {"gracePeriodSeconds": 0, "kind": "DeleteOptions", "apiVersion": "v1"}
            self.kube.request("DELETE", path_of(pod), body=body)
        elif place in self.held:
            return
        elif not pod["spec"].get("nodeName"):
            self._bind(pod)
        elif place[1] == "migration":
            self._end(pod, failed=place in self.failing)
        elif not _is_ready(pod):
            self._run_pod(pod, place[1])
        else:
            self._follow(pod)

    def _bind(self, pod: Manifest) -> None:
        meta = {"name": pod["metadata"]["name"], "namespace": pod["metadata"]["namespace"]}
        target = {"apiVersion": "v1", "kind": "Node", "name": "node"}
        binding = {"apiVersion": "v1", "kind": "Binding", "metadata": meta, "target": target}
        self.kube.request("POST", f"{path_of(pod)}/binding", body=binding)

    def _run_pod(self, pod: Manifest, component: str) -> None:
        address = _address(next(self._addresses))
        if component == "registry" and pod["metadata"]["namespace"] in self.served:
            self._serve(pod, address)
        ready = [{"type": name, "status": "True"} for name in ("Initialized", "ContainersReady", "Ready")]
        told = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}], "conditions": ready}
        running: Manifest = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
        self._tell(pod, {**told, "containerStatuses": [_container(each, running) for each in _names(pod)]})

    def _serve(self, pod: Manifest, address: str) -> None:
        """On the address of the Service, which one pod at a time can have: the earlier one goes first."""
        namespace = pod["metadata"]["namespace"]
        for uid, earlier in list(self._pods.items()):
            if earlier.pod["metadata"]["namespace"] == namespace:
                self._pods.pop(uid).stop()
        service = self.kube.get(api.KINDS["Service"], namespace, api.labels_of(pod)[api.REGISTRY])
        assert service
        started = ServingPod(self.kube, pod, address, service["spec"]["clusterIP"])
        started.start()
        self._pods[pod["metadata"]["uid"]] = started

    def _follow(self, pod: Manifest) -> None:
        """A kubelet looks after mounted Secrets at once when the pod has changed."""
        uid, version = pod["metadata"]["uid"], pod["metadata"]["resourceVersion"]
        if uid in self._pods and self._followed.get(uid) != version:
            self._pods[uid].follow()
            self._followed[uid] = version

    def _end(self, pod: Manifest, failed: bool) -> None:
        if (pod.get("status") or {}).get("phase") in {"Succeeded", "Failed"}:
            return
        ended: Manifest = {"terminated": {"exitCode": int(failed), "reason": "Error" if failed else "Completed"}}
        told: Manifest = {"phase": "Failed" if failed else "Succeeded"}
        self._tell(pod, {**told, "containerStatuses": [_container(each, ended) for each in _names(pod)]})

    def _tell(self, pod: Manifest, status: Manifest) -> None:
        self.kube.request("PATCH", f"{path_of(pod)}/status", body={"status": status}, form=_MERGE)

    def _bind_claim(self, claim: Manifest) -> None:
        """A volume of the size asked for; a bound claim that wants more gets it, as from a resizer."""
        size = claim["spec"]["resources"]["requests"]["storage"]
        status = claim.get("status") or {}
        if status.get("phase") == "Bound":
            if status.get("capacity", {}).get("storage") != size:
                body = {"status": {"capacity": {"storage": size}}}
                self.kube.request("PATCH", f"{path_of(claim)}/status", body=body, form=_MERGE)
            return
        meta = claim["metadata"]
        name = f"pv-{meta['uid']}"
        spec = {
            "capacity": {"storage": size},
            "accessModes": claim["spec"]["accessModes"],
            "claimRef": {"namespace": meta["namespace"], "name": meta["name"], "uid": meta["uid"]},
            "hostPath": {"path": "/nowhere"},
            "storageClassName": claim["spec"].get("storageClassName", ""),
            "persistentVolumeReclaimPolicy": "Retain",
        }
        volume: Manifest = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": spec}
        if self.kube.get(_VOLUME, "", name) is None:
            self.kube.request("POST", "/api/v1/persistentvolumes", body=volume)


def _address(number: int) -> str:
    """Of this process, so that nodes of two runs do not meet; Services have 127.96."""
    return f"127.{97 + os.getpid() % 128}.{number // 250}.{number % 250 + 1}"


def _names(pod: Manifest) -> list[Manifest]:
    return list(pod["spec"]["containers"])


def _container(container: Manifest, state: Manifest) -> Manifest:
    running = "running" in state
    return {
        "name": container["name"],
        "image": container["image"],
        "imageID": "",
        "ready": running,
        "started": running,
        "restartCount": 0,
        "state": state,
    }


def _is_ready(pod: Manifest) -> bool:
    conditions = (pod.get("status") or {}).get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
