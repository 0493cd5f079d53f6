"""Dashboard and alarms against what is really told: a real Prometheus asks the operator and a registry that it made."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import yaml

from charts import dashboard
from pier_operator import api
from pier_operator.plan.server import PRIVATE
from tests.chart.expressions import Told, faults, metrics
from tests.chart.rendering import of_kind, rendered
from tests.operator.cluster import Cluster, Operator, eventually
from tests.operator.planning import planned
from tests.parts import cache
from tests.parts.ports import free_port

_NAMESPACE: Final = "looked-at"
_LINES: Final = [
    pytest.param(expression, id=f"{panel.title} {number}")
    for panels in dashboard.ROWS.values()
    for panel in panels
    for number, (expression, _) in enumerate(panel.lines, start=1)
]


@dataclass(frozen=True, slots=True)
class Prometheus:
    """`told` is what its targets have told."""

    url: str
    told: Told

    def ask(self, expression: str) -> list[dict[str, Any]]:
        """Series, for all registries. Raises AssertionError for what is no expression."""
        chosen = expression.replace("$namespace", ".*").replace("$registry", ".*")
        answer = httpx.get(f"{self.url}/api/v1/query", params={"query": chosen}, timeout=10).json()
        assert answer["status"] == "success", answer
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found


@pytest.fixture(scope="module")
def registry(cluster: Cluster, operator: Operator) -> Iterator[str]:
    """The address of a registry's pod."""
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": _NAMESPACE}}
    cluster.kube.request("POST", "/api/v1/namespaces", body=body)
    cluster.node.served.add(_NAMESPACE)
    cluster.create(_NAMESPACE, "pier")
    cluster.wait_for(_NAMESPACE, "Ready", "Ready", within=60)
    pods = [
        each["status"]["podIP"]
        for each in cluster.kube.every(api.POD, _NAMESPACE)
        if api.labels_of(each)["app.kubernetes.io/component"] == "registry"
    ]
    yield pods[0]
    cluster.kube.request("DELETE", f"/api/v1/namespaces/{_NAMESPACE}", body={})


@pytest.fixture(scope="module")
def prometheus(operator: Operator, registry: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """It has asked both a few times."""
    home = tmp_path_factory.mktemp("prometheus")
    targets = {"pier-operator": f"127.0.0.1:{operator.port}", "pier-metrics": f"{registry}:{PRIVATE}"}
    (home / "prometheus.yaml").write_text(yaml.safe_dump(_configuration(targets)))
    url = f"http://127.0.0.1:{free_port()}"
    process = _started(home, url)
    told = Told()
    for address in targets.values():
        told.read(httpx.get(f"http://{address}/metrics", timeout=10).text)
    try:
        asking = Prometheus(url, told)
        eventually(lambda: _asked_often(url), 60, (home / "log").read_text)
        yield asking
    finally:
        process.terminate()
        process.wait(timeout=30)


def _configuration(targets: dict[str, str]) -> dict[str, Any]:
    """As the ServiceMonitors have it, but more often: the operator's labels count more than those of its pod."""
    jobs = [
        {
            "job_name": job,
            "honor_labels": job == "pier-operator",
            "static_configs": [
                {
                    "targets": [address],
                    "labels": {
                        "namespace": _NAMESPACE if job == "pier-metrics" else "pier-system",
                        "service": job,
                        "pod": f"{job}-0",
                    },
                }
            ],
        }
        for job, address in targets.items()
    ]
    return {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": jobs}


def _started(home: Path, url: str) -> subprocess.Popen[bytes]:
    command = [
        cache.program("prometheus"),
        f"--config.file={home}/prometheus.yaml",
        f"--storage.tsdb.path={home}/data",
        f"--web.listen-address={url.removeprefix('http://')}",
    ]
    with (home / "log").open("ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)


def _asked_often(url: str) -> bool:
    """Rates take two answers of each target."""
    try:
        answer = httpx.get(f"{url}/api/v1/query", params={"query": "sum_over_time(up[1m])"}, timeout=5)
    except httpx.TransportError:
        return False
    found = answer.json().get("data", {}).get("result", []) if answer.status_code != 503 else []  # while it starts
    return len(found) == 2 and all(float(each["value"][1]) >= 4 for each in found)


@pytest.mark.parametrize("expression", _LINES)
def test_every_line_of_the_dashboard_asks_for_what_is_told(prometheus: Prometheus, expression: str) -> None:
    assert faults(expression, prometheus.told) == []
    assert prometheus.ask(expression)


@pytest.mark.parametrize("query", dashboard.CHOICES.values())
def test_what_can_be_chosen_is_told(prometheus: Prometheus, query: str) -> None:
    selector, _, label = query.removeprefix("label_values(").removesuffix(")").rpartition(", ")
    assert faults(f"count by ({label}) ({selector})", prometheus.told) == []
    assert [each["metric"][label] for each in prometheus.ask(f"count by ({label}) ({selector})")]


def _alarms() -> list[tuple[str, str]]:
    """Of the chart, and of one registry."""
    (ours,) = of_kind(rendered({"prometheusRule": {"enabled": True}}), "PrometheusRule")
    (its,) = [
        child.manifest
        for child in planned({"monitoring": {"enabled": True}}).children
        if child.kind == "PrometheusRule"
    ]
    return [
        (f"{rule['kind']} {alarm['alert']}", alarm["expr"])
        for rule in (ours, its)
        for group in rule["spec"]["groups"]
        for alarm in group["rules"]
    ]


def test_every_alarm_asks_for_what_is_told(prometheus: Prometheus) -> None:
    prometheus.told.labels["up"] = {}  # Prometheus' own
    assert [(name, faults(expression, prometheus.told)) for name, expression in _alarms()] == [
        (name, []) for name, _ in _alarms()
    ]


def test_no_alarm_rings_for_a_registry_that_is_well(prometheus: Prometheus) -> None:
    well = [(name, expression) for name, expression in _alarms() if 'namespace="team"' not in expression]
    assert len(well) > 5
    assert [name for name, expression in well if prometheus.ask(expression)] == []


def test_an_expression_of_nothing_would_be_found(prometheus: Prometheus) -> None:
    assert metrics("sum(pier_unknown_total)") == {"pier_unknown_total"}
    assert faults("sum(pier_unknown_total)", prometheus.told)
    assert prometheus.ask("sum(pier_unknown_total)") == []
