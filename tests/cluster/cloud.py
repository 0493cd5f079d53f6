"""What a cloud does for a cluster: volumes that are made, grown and removed on demand, and addresses for Services.

A volume is a file system of its own of the asked size, in a file, so it fills up as a real one does. Those of the
default class are ext4, which only grows in use by a right that not every root has; those of class `elastic` are XFS.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from pier_operator.kube import Kube, KubeError, Refused
from pier_operator.quantity import amount
from tests.cluster.machine import balanced
from tests.parts.control_plane import ControlPlane

PROVISIONER: Final = "cloud.test/volumes"
CLASS: Final = "standard"
ELASTIC: Final = "elastic"

_VOLUMES: Final = Path("/var/lib/machine")
_PAUSE: Final = 0.2  # seconds
_CLAIMS: Final = "/api/v1/persistentvolumeclaims"
_PLACES: Final = "/api/v1/persistentvolumes"
_MERGE: Final = "application/merge-patch+json"
_ASKED: Final = "volume.kubernetes.io/storage-provisioner"

Manifest = dict[str, Any]


def serve(plane: ControlPlane, address: str, between: Callable[[], None]) -> None:
    """For ever, calling `between` after each round."""
    kube = Kube.connected(plane.kubeconfig)
    _start(kube)
    while True:
        try:
            _volumes(kube)
            _addresses(kube, address)
        except KubeError as fault:
            print(f"cloud: {fault}", flush=True)
        except subprocess.CalledProcessError as failed:
            print(f"cloud: {failed}: {failed.stderr}", flush=True)
        between()
        time.sleep(_PAUSE)


def _start(kube: Kube) -> None:
    """The classes of volumes, and the volumes of before."""
    for name in (CLASS, ELASTIC):
        is_default = json.dumps(name == CLASS)
        meta = {"name": name, "annotations": {"storageclass.kubernetes.io/is-default-class": is_default}}
        offered = {"provisioner": PROVISIONER, "allowVolumeExpansion": name == ELASTIC}
        body = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": meta, **offered}
        try:
            kube.request("POST", "/apis/storage.k8s.io/v1/storageclasses", body=body)
        except Refused as refused:
            if not refused.conflict:
                raise
    for image in _VOLUMES.glob("*.img"):
        _run("mount", "-o", "loop", str(image), str(image.with_suffix("")))


def _volumes(kube: Kube) -> None:
    claims = kube.request("GET", _CLAIMS)["items"]
    places = {each["metadata"]["name"]: each for each in kube.request("GET", _PLACES)["items"]}
    for claim in claims:
        meta = claim["metadata"]
        place = places.get(_name(claim))
        if place is None and meta.get("annotations", {}).get(_ASKED) == PROVISIONER and _is_pending(claim):
            kube.request("POST", _PLACES, body=_made(claim))
        elif place is not None and _wanted(claim) > _bytes(place["spec"]["capacity"]["storage"]):
            _grow(kube, claim, place)
    for name, place in places.items():
        if place.get("status", {}).get("phase") == "Released" and "deletionTimestamp" not in place["metadata"]:
            _remove(name)
            kube.request("DELETE", f"{_PLACES}/{name}")


def _is_pending(claim: Manifest) -> bool:
    return claim["status"].get("phase") == "Pending" and "deletionTimestamp" not in claim["metadata"]


def _name(claim: Manifest) -> str:
    return f"pvc-{claim['metadata']['uid']}"


def _wanted(claim: Manifest) -> int:
    return _bytes(claim["spec"]["resources"]["requests"]["storage"])


def _bytes(quantity: str) -> int:
    found = amount(quantity)
    assert found, quantity
    return int(found)


def _made(claim: Manifest) -> Manifest:
    """A volume of the size that the claim asks for, kept for it."""
    folder = _VOLUMES / _name(claim)
    folder.mkdir(exist_ok=True)
    image = folder.with_suffix(".img")
    with image.open("wb") as file:
        file.truncate(_wanted(claim))
    if claim["spec"]["storageClassName"] == ELASTIC:
        _run("mkfs.xfs", "-q", "-K", str(image))
        _run("mount", "-o", "loop", str(image), str(folder))
    else:
        _run("mkfs.ext4", "-q", "-m", "0", "-E", "nodiscard", str(image))
        _run("mount", "-o", "loop", str(image), str(folder))
        (folder / "lost+found").rmdir()
    meta = claim["metadata"]
    keeper = {"kind": "PersistentVolumeClaim", "apiVersion": "v1", "name": meta["name"], "namespace": meta["namespace"]}
    here = {"key": "kubernetes.io/os", "operator": "In", "values": ["linux"]}
    spec = {
        "capacity": {"storage": claim["spec"]["resources"]["requests"]["storage"]},
        "accessModes": claim["spec"]["accessModes"],
        "persistentVolumeReclaimPolicy": "Delete",
        "storageClassName": claim["spec"]["storageClassName"],
        "local": {"path": str(folder)},
        "claimRef": {**keeper, "uid": meta["uid"]},
        "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
    }
    marks = {"name": _name(claim), "annotations": {"pv.kubernetes.io/provisioned-by": PROVISIONER}}
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": marks, "spec": spec}


def _grow(kube: Kube, claim: Manifest, place: Manifest) -> None:
    """While it is in use, as a cloud's volumes do."""
    image = (_VOLUMES / _name(claim)).with_suffix(".img")
    with image.open("r+b") as file:
        file.truncate(_wanted(claim))
    device = _run("losetup", "--noheadings", "--output", "NAME", "--associated", str(image)).strip()
    _run("losetup", "--set-capacity", device)
    _run("xfs_growfs", str(image.with_suffix("")))
    meta, size = claim["metadata"], claim["spec"]["resources"]["requests"]
    kube.request("PATCH", f"{_PLACES}/{place['metadata']['name']}", body={"spec": {"capacity": size}}, form=_MERGE)
    of_claim = f"/api/v1/namespaces/{meta['namespace']}/persistentvolumeclaims/{meta['name']}/status"
    kube.request("PATCH", of_claim, body={"status": {"capacity": size, "conditions": None}}, form=_MERGE)


def _remove(name: str) -> None:
    folder = _VOLUMES / name
    if folder.exists():
        _run("umount", "--lazy", str(folder))
        folder.with_suffix(".img").unlink()
        folder.rmdir()


def _addresses(kube: Kube, address: str) -> None:
    """Each Service of type LoadBalancer gets one that is free; kube-proxy does the rest."""
    services = kube.request("GET", "/api/v1/services")["items"]
    held = {point["ip"] for each in services for point in each["status"]["loadBalancer"].get("ingress", [])}
    for service in services:
        meta = service["metadata"]
        if service["spec"]["type"] == "LoadBalancer" and not service["status"]["loadBalancer"].get("ingress"):
            free = next(each for each in balanced(address) if each not in held)
            free = service["spec"].get("loadBalancerIP", free)
            held.add(free)
            target = f"/api/v1/namespaces/{meta['namespace']}/services/{meta['name']}/status"
            kube.request("PATCH", target, body={"status": {"loadBalancer": {"ingress": [{"ip": free}]}}}, form=_MERGE)


def _run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
