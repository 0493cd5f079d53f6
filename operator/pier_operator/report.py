"""Tell what has been found: the status when it differs, and an event when a condition turns."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

from pier_operator import api
from pier_operator.api import Manifest
from pier_operator.cache import Cache
from pier_operator.kube import Kube, Refused

_FIGURES: Final = ("usedBytes", "reclaimedBytes", "pendingBytes", "freeBytes")
_PRECISION: Final = 1 << 20
_SELDOM: Final = 60.0  # seconds between two writes for figures alone
# The abnormal-true ones say the same again.
_SILENT: Final = frozenset({"Reconciling", "Stalled", "Paused"})

_log = logging.getLogger("pier.report")


class Reporter:
    """Remembers when it last wrote, so that figures alone are written seldom."""

    def __init__(self, kube: Kube, cache: Cache) -> None:
        self._kube = kube
        self._cache = cache
        self._wrote: dict[tuple[str, str], float] = {}

    def report(self, manifest: Manifest, status: Mapping[str, Any], now: datetime) -> bool:
        """Returns whether the resource is another one by now than what was looked at. Raises KubeError."""
        told = _rounded(status)
        before = manifest.get("status") or {}
        if not self._is_news(manifest, told, before, now.timestamp()):
            return False
        key = (manifest["metadata"]["namespace"], manifest["metadata"]["name"])
        answer = self._kube.apply_status(manifest, told)
        self._cache.wrote(answer)
        self._wrote[key] = now.timestamp()
        for condition in turned(before, told):
            self._event(manifest, condition, now)
        return _asked(answer) != _asked(manifest)

    def tell(self, manifest: Manifest, notices: Iterable[tuple[str, str]], now: datetime) -> None:
        """Events about what was lost."""
        for reason, message in notices:
            self._event(manifest, {"type": "Lost", "status": "False", "reason": reason, "message": message}, now)

    def forget(self, key: tuple[str, str]) -> None:
        self._wrote.pop(key, None)

    def _is_news(self, manifest: Manifest, told: Manifest, before: Manifest, now: float) -> bool:
        if _without_figures(told) != _without_figures(before):
            return True
        key = (manifest["metadata"]["namespace"], manifest["metadata"]["name"])
        return told != before and now - self._wrote.get(key, 0) >= _SELDOM

    def _event(self, manifest: Manifest, condition: Manifest, now: datetime) -> None:
        """An event that cannot be written is lost, and nothing else is."""
        try:
            self._kube.create(_event(manifest, condition, now))
        except Refused as refused:
            _log.warning("event not written: %s", refused.message)


def _asked(manifest: Manifest) -> tuple[int, dict[str, str]]:
    """What a person asks for with a resource. Its version says more: it is also that of the status."""
    return manifest["metadata"]["generation"], api.annotations_of(manifest)


def turned(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Manifest]:
    """Conditions whose status is another one than before; of a new registry, those that hold."""
    known = {each["type"]: each["status"] for each in before.get("conditions", [])}
    return [
        each
        for each in after.get("conditions", [])
        if each["type"] not in _SILENT
        and each["status"] != known.get(each["type"], "False")
        and (each["type"] in known or each["type"] == "Ready")
    ]


def _event(manifest: Manifest, condition: Manifest, now: datetime) -> Manifest:
    meta = manifest["metadata"]
    moment = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    text = f"{condition['type']}: {condition['message']}"
    mark = sha256(f"{meta['uid']}{condition['type']}{condition['reason']}{now.timestamp()}".encode()).hexdigest()[:16]
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{meta['name']}.{mark}", "namespace": meta["namespace"]},
        "involvedObject": {
            "apiVersion": api.PIER_REGISTRY.api_version,
            "kind": api.PIER_REGISTRY.name,
            "name": meta["name"],
            "namespace": meta["namespace"],
            "uid": meta["uid"],
        },
        "type": "Normal" if condition["status"] == "True" else "Warning",
        "reason": condition["reason"],
        "message": text[:1024],
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "count": 1,
        "source": {"component": api.MANAGER},
        "reportingComponent": api.MANAGER,
    }


def _rounded(status: Mapping[str, Any]) -> Manifest:
    storage = {
        key: value // _PRECISION * _PRECISION if key in _FIGURES else value
        for key, value in status.get("storage", {}).items()
    }
    return {**status, "storage": storage}


def _without_figures(status: Mapping[str, Any]) -> Manifest:
    storage = {key: value for key, value in status.get("storage", {}).items() if key not in _FIGURES}
    return {**{key: value for key, value in status.items() if key != "storage"}, "storage": storage}
