"""The chart's alarms, by Prometheus' own tests of rules: each rings when it should, and is quiet otherwise."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.chart.rendering import of_kind, rendered
from tests.house.pages import page
from tests.operator.planning import planned
from tests.parts import cache

_BASE: Final = "https://docs.example.org/pier/runbooks"
_OPERATOR: Final = 'job="pier-operator"'
_READY: Final = f'pier_operator_registry_ready{{{_OPERATOR},namespace="team",name="app"}}'
_ENDS: Final = f'pier_operator_certificate_end_seconds{{{_OPERATOR},namespace="team",name="app"}}'
_DONE, _RETRIED, _BROKEN = (
    f'pier_operator_reconciles_total{{{_OPERATOR},outcome="{outcome}"}}' for outcome in ("done", "retried", "broken")
)
_GIB: Final = 1 << 30
_DAY: Final = 86400


def _pod(metric: str, pod: str = "a", more: str = "") -> str:
    return f'{metric}{{namespace="team",service="app-metrics",pod="{pod}"{more}}}'


def _answers(good: str, failed: str, refused: str = "0x60") -> dict[str, str]:
    by_code = {"200": good, "503": failed, "404": refused}
    return {_pod("pier_requests_total", more=f',code="{code}"'): values for code, values in by_code.items()}


def _users(first: str, second: str) -> dict[str, str]:
    """Two pods, by the users file that is in force in each."""
    made: dict[str, str] = {}
    for pod, values in (("a", first), ("b", second)):
        made |= {_pod("pier_users_info", pod, f',sha256="{mark}"'): _seen(mark, values) for mark in ("old", "new")}
    return made


def _seen(mark: str, values: str) -> str:
    """`values` are minutes with the old file; then comes the new one."""
    minutes = int(values)
    return f"1x{minutes - 1} _x{60 - minutes}" if mark == "old" else f"_x{minutes - 1} 1x{60 - minutes}"


def _volume(free: int, stored: int) -> dict[str, str]:
    return {_pod("pier_storage_free_bytes"): f"{free}x30", _pod("pier_layers_bytes"): f"{stored}x30"}


# Alarm, what it means, series of one value a minute, when it is looked at, and whether it rings then.
_CASES: Final[list[tuple[str, str, Mapping[str, str], int, bool]]] = [
    ("PierOperatorDown", "works", {f"pier_operator_leading{{{_OPERATOR}}}": "1x20"}, 20, False),
    ("PierOperatorDown", "stands by for a moment", {f"pier_operator_leading{{{_OPERATOR}}}": "0x20"}, 4, False),
    ("PierOperatorDown", "none leads", {f"pier_operator_leading{{{_OPERATOR}}}": "0x20"}, 6, True),
    ("PierOperatorDown", "is gone", {f"pier_operator_leading{{{_OPERATOR}}}": "1x5 _x15"}, 20, True),
    ("PierOperatorFailing", "works", {_DONE: "0+2x60", _RETRIED: "0x60", _BROKEN: "0x60"}, 60, False),
    ("PierOperatorFailing", "is refused at times", {_DONE: "0+2x60", _RETRIED: "0+1x60", _BROKEN: "0x60"}, 60, False),
    ("PierOperatorFailing", "is refused mostly", {_DONE: "0+1x60", _RETRIED: "0+2x60", _BROKEN: "0x60"}, 60, True),
    ("PierOperatorFailing", "has faults", {_DONE: "0+9x60", _RETRIED: "0x60", _BROKEN: "0+1x60"}, 60, True),
    ("PierOperatorFailing", "had one fault", {_DONE: "0+9x60", _RETRIED: "0x60", _BROKEN: "0 1x59"}, 60, False),
    ("PierRegistryNotReady", "ready", {_READY: "1x60"}, 60, False),
    ("PierRegistryNotReady", "starts", {_READY: "0x60"}, 29, False),
    ("PierRegistryNotReady", "broken", {_READY: "0x60"}, 31, True),
    ("PierRegistryNotReady", "mended", {_READY: "0x20 1x40"}, 60, False),
    ("PierRegistryNotReady", "asleep", {_READY: "0x20 _x40"}, 60, False),
    ("PierCertificateExpiring", "a month left", {_ENDS: f"{30 * _DAY}x90"}, 70, False),
    ("PierCertificateExpiring", "six days left", {_ENDS: f"{6 * _DAY}x90"}, 70, True),
    ("PierDatabaseDown", "answers", {_pod("pier_database_up"): "1x20"}, 20, False),
    ("PierDatabaseDown", "starts anew", {_pod("pier_database_up"): "1x5 0x3 1x12"}, 20, False),
    ("PierDatabaseDown", "away", {_pod("pier_database_up"): "0x20"}, 6, True),
    ("PierDatabaseDown", "away from one pod",
     {_pod("pier_database_up"): "1x20", _pod("pier_database_up", "b"): "0x20"}, 6, True),
    ("PierRequestsFailing", "nobody asks", _answers("0x60", "0x60"), 60, False),
    ("PierRequestsFailing", "some are refused", _answers("0+300x60", "0x60", "0+300x60"), 60, False),
    ("PierRequestsFailing", "one in a hundred fails", _answers("0+990x60", "0+10x60"), 60, False),
    ("PierRequestsFailing", "a restart", _answers("0+300x60", "0x20 0+300x5 1500x35"), 60, False),
    ("PierRequestsFailing", "one in ten fails", _answers("0+270x60", "0+30x60"), 60, True),
    ("PierVolumeFilling", "half full", _volume(10 * _GIB, 10 * _GIB), 30, False),
    ("PierVolumeFilling", "nearly full", _volume(2 * _GIB, 18 * _GIB), 30, True),
    ("PierVolumeFilling", "nearly full for a moment", _volume(2 * _GIB, 18 * _GIB), 14, False),
    ("PierReclaimStuck", "nothing waits", {_pod("pier_pending_files"): "0x90"}, 90, False),
    ("PierReclaimStuck", "a large delete", {_pod("pier_pending_files"): "900x40 0x50"}, 90, False),
    ("PierReclaimStuck", "one file stays", {_pod("pier_pending_files"): "1x90"}, 61, True),
    ("PierUsersStale", "good", {_pod("pier_users_stale"): "0x20", _pod("pier_rights_stale"): "0x20"}, 20, False),
    ("PierUsersStale", "users", {_pod("pier_users_stale"): "1x20"}, 6, True),
    ("PierUsersStale", "rights", {_pod("pier_users_stale"): "0x20", _pod("pier_rights_stale"): "1x20"}, 6, True),
    ("PierUsersStale", "mode", {_pod("pier_users_stale"): "0x20", _pod("pier_mode_stale"): "1x20"}, 6, True),
    ("PierUsersNotActive", "all changed together", _users("20", "20"), 40, False),
    ("PierUsersNotActive", "one a little later", _users("20", "22"), 40, False),
    ("PierUsersNotActive", "one is left behind", _users("20", "50"), 40, True),
]  # fmt: skip


@pytest.fixture(scope="module")
def groups() -> dict[str, Any]:
    values = {"prometheusRule": {"enabled": True}, "monitoring": {"runbookUrl": _BASE}}
    (rule,) = of_kind(rendered(values), "PrometheusRule")
    found: dict[str, Any] = rule["spec"]
    return found


def _alarms(groups: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {rule["alert"]: rule for group in groups["groups"] for rule in group["rules"]}


def _ringing(groups: dict[str, Any], folder: Path, alarm: str, series: Mapping[str, str], at: int) -> bool:
    """Whether the alarm rings after `at` minutes of these series, with nothing else there."""
    (folder / "rules.yaml").write_text(yaml.safe_dump(groups))
    case = {"eval_time": f"{at}m", "alertname": alarm, "exp_alerts": []}
    given = [{"series": name, "values": values} for name, values in series.items()]
    told = {"interval": "1m", "input_series": given, "alert_rule_test": [case]}
    test = {"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": [told]}
    (folder / "test.yaml").write_text(yaml.safe_dump(test))
    command = [cache.program("promtool"), "test", "rules", "test.yaml"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0 or f"alertname: {alarm}" in done.stdout + done.stderr, done.stdout + done.stderr
    return done.returncode != 0


@pytest.mark.parametrize(
    ("alarm", "series", "at", "rings"),
    [(alarm, series, at, rings) for alarm, _, series, at, rings in _CASES],
    ids=[f"{alarm}: {meaning}" for alarm, meaning, *_ in _CASES],
)
def test_it_rings_when_it_should(
    groups: dict[str, Any], tmp_path: Path, alarm: str, series: Mapping[str, str], at: int, rings: bool
) -> None:
    assert _ringing(groups, tmp_path, alarm, series, at) == rings


def test_every_alarm_is_tried_both_ways(groups: dict[str, Any]) -> None:
    tried = {(alarm, rings) for alarm, _, _, _, rings in _CASES}
    assert tried == {(alarm, rings) for alarm in _alarms(groups) for rings in (True, False)}


def test_every_alarm_says_what_is_wrong_how_bad_it_is_and_where_to_read_on(groups: dict[str, Any]) -> None:
    for name, alarm in _alarms(groups).items():
        assert alarm["labels"]["severity"] in {"warning", "critical"}, name
        told = alarm["annotations"]
        assert set(told) == {"summary", "description", "runbook_url"}, name
        assert told["runbook_url"] == f"{_BASE}#{_anchor(name)}"
        assert _anchor(name) in page("docs/runbooks.md").anchors()


def _anchor(name: str) -> str:
    return name.lower()


def test_without_a_place_for_runbooks_no_alarm_names_one() -> None:
    (rule,) = of_kind(rendered({"prometheusRule": {"enabled": True}}), "PrometheusRule")
    told = [alarm["annotations"] for alarm in _alarms(rule["spec"]).values()]
    assert [set(each) for each in told] == [{"summary", "description"}] * len(told)


def test_every_alarm_has_a_runbook_and_every_runbook_an_alarm(groups: dict[str, Any]) -> None:
    """Those of the chart, and those that the operator makes for one registry."""
    (rule,) = [child.manifest for child in planned({"monitoring": {"enabled": True}}).children
               if child.kind == "PrometheusRule"]  # fmt: skip
    its = _alarms(rule["spec"])
    assert sorted(_sections()) == sorted({*_alarms(groups), *its})
    assert [set(each["annotations"]) for each in its.values()] == [{"summary", "description"}] * len(its)


def _sections() -> dict[str, str]:
    """By their headings."""
    parts = page("docs/runbooks.md").text.split("\n## ")[1:]
    return {heading: text for heading, _, text in (part.partition("\n") for part in parts)}


@pytest.mark.parametrize("part", ["**What it means.**", "**What users notice.**", "**Look at.**", "**Mend.**"])
def test_every_runbook_says_the_same_four_things(part: str) -> None:
    assert _sections()
    assert [name for name, text in _sections().items() if text.count(part) != 1] == []


def _judged(expressions: Iterable[str], folder: Path) -> str:
    rules = [{"record": f"test:{number}", "expr": each} for number, each in enumerate(expressions)]
    (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": rules}]}))
    command = [cache.program("promtool"), "check", "rules", "rules.yaml"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_promtool_finds_nothing_wrong_and_would(groups: dict[str, Any], tmp_path: Path) -> None:
    expressions = [alarm["expr"] for alarm in _alarms(groups).values()]
    assert _judged(expressions, tmp_path) == ""
    assert "parse error" in _judged([*expressions, "sum(pier_tags"], tmp_path)
