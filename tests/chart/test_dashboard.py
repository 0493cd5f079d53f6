"""The dashboard that the chart brings: a ConfigMap that Grafana finds, and expressions that Prometheus takes."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from charts import dashboard
from charts.dashboard import Panel
from tests.chart import published
from tests.chart.expressions import Told, faults, metrics
from tests.chart.rendering import Manifest, of_kind, rendered
from tests.parts import cache

_PANELS: Final = [panel for panels in dashboard.ROWS.values() for panel in panels]
_LINES: Final = [(panel.title, expression) for panel in _PANELS for expression, _ in panel.lines]
_VARIABLE: Final = re.compile(r"\$(\w+)")


def _config_map(**chosen: Any) -> Manifest:
    values = {"monitoring": {"dashboard": {"enabled": True, **chosen}}}
    (found,) = of_kind(rendered(values), "ConfigMap")
    return found


def test_it_is_there_only_when_it_is_asked_for() -> None:
    assert of_kind(rendered(), "ConfigMap") == []


@pytest.mark.parametrize("version", published.VERSIONS)
def test_it_is_a_config_map_that_grafana_looks_for(version: str) -> None:
    found = _config_map(labels={"team": "platform", "grafana_dashboard": "0"}, annotations={"grafana_folder": "Pier"})
    assert published.faults(found, version) == []
    assert found["metadata"]["labels"]["grafana_dashboard"] == "0"
    assert found["metadata"]["labels"]["team"] == "platform"
    assert found["metadata"]["annotations"] == {"grafana_folder": "Pier"}
    assert _config_map()["metadata"]["labels"]["grafana_dashboard"] == "1"


def test_grafana_reads_in_it_what_the_table_says() -> None:
    (text,) = _config_map()["data"].values()
    assert json.loads(text) == dashboard.dashboard()


def test_grafana_has_a_field_for_all_that_stands_in_it() -> None:
    """What its types do not know, Grafana would pass over."""
    told = dashboard.dashboard()
    read = json.loads(JSONEncoder().encode(Dashboard.from_json(told)))
    assert not list(_passed_over(told, read, "dashboard"))
    assert list(_passed_over({"title": "x", "panles": []}, {"title": "x"}, "dashboard")) == ["dashboard.panles"]


def _passed_over(told: Any, read: Any, place: str) -> Iterator[str]:
    if isinstance(told, dict) and isinstance(read, dict):
        for key, value in told.items():
            yield from _passed_over(value, read.get(key), f"{place}.{key}")
    elif isinstance(told, list) and isinstance(read, list) and len(told) == len(read):
        for number, value in enumerate(told):
            yield from _passed_over(value, read[number], f"{place}[{number}]")
    elif told != read:
        yield place


def test_no_panel_lies_upon_another() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard.dashboard()["panels"]:
        at = panel["gridPos"]
        place = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not place & taken, panel["title"]
        assert max(x for x, _ in place) < 24
        taken |= place


def test_ids_and_titles_are_of_one_panel_each() -> None:
    made = dashboard.dashboard()["panels"]
    for key in ("id", "title"):
        assert len({panel[key] for panel in made}) == len(made)


def test_every_choice_that_is_used_can_be_made() -> None:
    used = {name for _, expression in _LINES for name in _VARIABLE.findall(expression)}
    assert used == set(dashboard.CHOICES)


@pytest.mark.parametrize("panel", _PANELS, ids=lambda panel: panel.title)
def test_a_legend_names_only_labels_that_its_expression_keeps(panel: Panel) -> None:
    for expression, legend in panel.lines:
        named = set(re.findall(r"{{(\w+)}}", legend))
        grouped = re.match(r"[a-z_]+(?:\([^()]*)?\s*by \(([^)]*)\)|clamp_min\(max by \(([^)]*)\)", expression)
        kept = {label.strip() for part in (grouped.groups() if grouped else ()) if part for label in part.split(",")}
        assert named <= (kept or {"pod"}), expression


def test_promtool_takes_every_expression(tmp_path: Path) -> None:
    rules = [
        {"record": f"test:{number}", "expr": _VARIABLE.sub("all", expression)}
        for number, (_, expression) in enumerate(_LINES)
    ]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    command = [cache.program("promtool"), "check", "rules", "rules.yaml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(rules)} rules found" in done.stdout


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("sum by (kind) (rate(pier_a_total{kind='x'}[5m]))", []),
        ('max by (namespace) (pier_a_total{kind="x",namespace=~"$namespace"})', []),
        ("pier_b", ["no metric pier_b"]),
        ('pier_a_total{kind="y"}', ["pier_a_total is never told with kind=y"]),
        ('pier_a_total{kind=~"x|y"}', ["pier_a_total is never told with kind=y"]),
        ('pier_a_total{colour="x"}', ["pier_a_total has no label colour"]),
        ("sum by (colour) (pier_a_total)", ["no label colour to group by"]),
        ("pier_a_total and on (job, size) pier_c", ["no metric pier_c", "no label size to group by"]),
    ],
    ids=str,
)
def test_what_nobody_tells_is_found(expression: str, found: list[str]) -> None:
    told = Told()
    told.read('# TYPE pier_a counter\npier_a_total{kind="x"} 1.0\n')
    assert faults(expression, told) == found


def test_the_names_of_metrics_are_told_from_all_else() -> None:
    expression = 'clamp_min(max by (le) (delta(pier_a{x="y"}[1h]) + pier_b offset 5m and on (job) up) - time(), 0)'
    assert metrics(expression) == {"pier_a", "pier_b", "up"}
