"""For Prometheus, where its operator is installed: what to scrape, and when to wake somebody."""

from __future__ import annotations

from typing import Any

from pier_operator.api import Manifest
from pier_operator.plan import labels
from pier_operator.plan.child import Child, Plan, Situation, manifest


def monitoring(situation: Situation) -> Plan:
    asked, known = situation.registry.monitoring, situation.observed.apis
    if not asked.enabled:
        return Plan()
    children = []
    if "ServiceMonitor" in known:
        children.append(Child(_monitor(situation)))
    if asked.rule and "PrometheusRule" in known:
        children.append(Child(_rule(situation)))
    return Plan(tuple(children))


def _monitor(situation: Situation) -> Manifest:
    spec = {
        "selector": {"matchLabels": {**labels.selector(situation.registry, "registry")}},
        "endpoints": [{"port": "private", "path": "/metrics", "interval": "30s"}],
    }
    return _labelled(situation, manifest("ServiceMonitor", situation.named(), spec=spec))


def _rule(situation: Situation) -> Manifest:
    here = f'namespace="{situation.registry.namespace}",service="{situation.named("metrics")}"'
    rules = [
        _alert(
            "PierRegistryDown",
            f"absent(up{{{here}}} == 1)",
            "5m",
            "critical",
            "no pod of the registry answers: see `kubectl describe pierregistry`",
        ),
        _alert(
            "PierVolumeFilling",
            f"min(pier_storage_free_bytes{{{here}}}) < 0.15 * (min(pier_storage_free_bytes{{{here}}}) + "
            f"max(pier_layers_bytes{{{here}}}))",
            "15m",
            "warning",
            "less than 15 % of the volume is free: delete tags, or raise storage.persistentVolume.size",
        ),
        _alert(
            "PierUsersStale",
            f"max(pier_users_stale{{{here}}}) > 0 or max(pier_rights_stale{{{here}}}) > 0",
            "5m",
            "warning",
            "the users or rights in force are not those on disk: see the log of the pods",
        ),
    ]
    spec = {"groups": [{"name": f"pier-{situation.registry.namespace}-{situation.registry.name}", "rules": rules}]}
    return _labelled(situation, manifest("PrometheusRule", situation.named(), spec=spec))


def _alert(name: str, expression: str, lasting: str, severity: str, text: str) -> dict[str, Any]:
    return {
        "alert": name,
        "expr": expression,
        "for": lasting,
        "labels": {"severity": severity},
        "annotations": {"summary": text},
    }


def _labelled(situation: Situation, held: Manifest) -> Manifest:
    if situation.registry.monitoring.labels:
        held["metadata"]["labels"] = dict(situation.registry.monitoring.labels)
    return held
