"""For Prometheus, where its operator is installed: what to scrape, and when to wake somebody."""

from __future__ import annotations

from typing import Final

from pier_operator.api import Manifest
from pier_operator.plan import labels
from pier_operator.plan.child import Child, Plan, Situation, manifest

# Labels that say in an alarm which registry it is about.
_MOST: Final = "max by (namespace, service)"
_LEAST: Final = "min by (namespace, service)"


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
    whose = f"{situation.registry.namespace}/{situation.registry.name}"
    rules = [_pointed(situation, each) for each in _alarms(here, whose)]
    spec = {"groups": [{"name": f"pier-{situation.registry.namespace}-{situation.registry.name}", "rules": rules}]}
    return _labelled(situation, manifest("PrometheusRule", situation.named(), spec=spec))


def _alarms(here: str, whose: str) -> list[Manifest]:
    """Those of the chart that have the same name say the same."""
    free, stored = (f"(pier_{name}{{{here}}})" for name in ("storage_free_bytes", "layers_bytes"))
    stale = [f"{_MOST} (pier_{name}_stale{{{here}}}) > 0" for name in ("users", "rights", "mode")]
    return [
        _alarm(
            "PierRegistryDown",
            f"absent(up{{{here}}} == 1)",
            "5m",
            "critical",
            f"No pod of registry {whose} answers.",
            "Neither pushes nor pulls work: see `kubectl describe pierregistry`.",
        ),
        _alarm(
            "PierVolumeFilling",
            f"{_LEAST} {free} < 0.15 * ({_LEAST} {free} + {_MOST} {stored})",
            "15m",
            "warning",
            f"The volume of registry {whose} is nearly full.",
            "Less than 15 % of it is free: delete tags, or raise storage.persistentVolume.size.",
        ),
        _alarm(
            "PierUsersStale",
            " or ".join(stale),
            "5m",
            "warning",
            f"Users of registry {whose} are not those on disk.",
            "The file of users, rights or mode cannot be used; the last good one is in force: see the log of the pods.",
        ),
    ]


def _alarm(name: str, expression: str, lasting: str, severity: str, summary: str, description: str) -> Manifest:
    return {
        "alert": name,
        "expr": expression,
        "for": lasting,
        "labels": {"severity": severity},
        "annotations": {"summary": summary, "description": description},
    }


def _pointed(situation: Situation, alarm: Manifest) -> Manifest:
    """With its place in the runbooks, where they are published."""
    if situation.settings.runbook_url:
        alarm["annotations"]["runbook_url"] = f"{situation.settings.runbook_url}#{alarm['alert'].lower()}"
    return alarm


def _labelled(situation: Situation, held: Manifest) -> Manifest:
    if situation.registry.monitoring.labels:
        held["metadata"]["labels"] = dict(situation.registry.monitoring.labels)
    return held
