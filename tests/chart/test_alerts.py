"""The chart's alarms, by Prometheus' own tests of rules: each rings when it should, and is quiet before."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from prometheus_client import Gauge

from pier_operator import metrics
from tests.chart.rendering import of_kind, rendered
from tests.parts import cache

_REGISTRY: Final = 'job="pier-operator",namespace="team",name="app"'
_DAY: Final = 1440  # minutes


@pytest.fixture(scope="module")
def groups() -> dict[str, Any]:
    (rule,) = of_kind(rendered({"prometheusRule": {"enabled": True}}), "PrometheusRule")
    found: dict[str, Any] = rule["spec"]
    return found


def _ringing(groups: dict[str, Any], folder: Path, alarm: str, series: str, values: str, at: int) -> bool:
    """Whether the alarm rings after `at` minutes of a series, with nothing else there."""
    (folder / "rules.yaml").write_text(yaml.safe_dump(groups))
    case = {"eval_time": f"{at}m", "alertname": alarm, "exp_alerts": []}
    told = {"interval": "1m", "input_series": [{"series": series, "values": values}], "alert_rule_test": [case]}
    test = {"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": [told]}
    (folder / "test.yaml").write_text(yaml.safe_dump(test))
    command = [cache.program("promtool"), "test", "rules", "test.yaml"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0 or alarm in done.stdout + done.stderr, done.stdout + done.stderr
    return done.returncode != 0


@pytest.mark.parametrize(
    ("values", "at", "rings"),
    [("1x20", 20, False), ("0x20", 4, False), ("0x20", 6, True), ("1x5 _x15", 20, True)],
    ids=["works", "stands by for a moment", "stands by", "is gone"],
)
def test_it_rings_when_no_operator_works(
    groups: dict[str, Any], tmp_path: Path, values: str, at: int, rings: bool
) -> None:
    series = 'pier_operator_leading{job="pier-operator"}'
    assert _ringing(groups, tmp_path, "PierOperatorDown", series, values, at) == rings


@pytest.mark.parametrize(
    ("values", "at", "rings"),
    [("1x60", 60, False), ("0x60", 29, False), ("0x60", 31, True), ("0x20 1x40", 60, False)],
    ids=["ready", "starting", "broken", "mended"],
)
def test_it_rings_when_a_registry_is_not_ready(
    groups: dict[str, Any], tmp_path: Path, values: str, at: int, rings: bool
) -> None:
    series = f"pier_operator_registry_ready{{{_REGISTRY}}}"
    assert _ringing(groups, tmp_path, "PierRegistryNotReady", series, values, at) == rings


@pytest.mark.parametrize(("left", "rings"), [(30 * _DAY, False), (6 * _DAY, True)])
def test_it_rings_when_a_certificate_is_not_renewed(
    groups: dict[str, Any], tmp_path: Path, left: int, rings: bool
) -> None:
    series = f"pier_operator_certificate_end_seconds{{{_REGISTRY}}}"
    assert _ringing(groups, tmp_path, "PierCertificateExpiring", series, f"{left * 60}x90", 70) == rings


def test_every_metric_that_is_asked_for_is_told(groups: dict[str, Any]) -> None:
    asked = {name for rule in groups["groups"][0]["rules"] for name in re.findall(r"pier_\w+", rule["expr"])}
    gauges = [each for each in vars(metrics).values() if isinstance(each, Gauge)]
    told = {family.name for gauge in gauges for family in gauge.describe()}
    assert asked
    assert asked <= told
