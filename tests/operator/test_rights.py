"""The list of rights that the tests run with is the one that the chart grants."""

from __future__ import annotations

import yaml

from tests.chart.rendering import of_kind, rendered
from tests.operator.cluster import ROOT

Rules = set[tuple[str, str, str]]


def _rights(roles: list[dict[str, object]]) -> Rules:
    """Group, resource and verb of each."""
    return {
        (group, resource, verb)
        for role in roles
        for rule in role["rules"]  # type: ignore[attr-defined]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def test_the_chart_grants_what_the_tests_run_with() -> None:
    text = rendered({"rbac": {"aggregate": False}, "nodeTrust": {"allowedHosts": ["registry.example.org"]}})
    granted = _rights([*of_kind(text, "ClusterRole"), *of_kind(text, "Role")])
    tested = _rights(list(yaml.safe_load_all((ROOT / "operator" / "rbac.yaml").read_text(encoding="utf-8"))))
    assert tested - granted == set()
    assert granted - tested == set()
