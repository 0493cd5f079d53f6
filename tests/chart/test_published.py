"""What the chart renders is right for the oldest Kubernetes that it takes, for the newest, and for one between."""

from __future__ import annotations

from typing import Any

import pytest

from charts.generate import CHART
from tests.chart import published
from tests.chart.rendering import GOLDEN, manifests, of_kind, rendered


@pytest.mark.parametrize("version", published.VERSIONS)
@pytest.mark.parametrize("name", [path.stem for path in sorted(GOLDEN.iterdir())])
def test_every_object_is_one_that_this_release_takes(name: str, version: str) -> None:
    made = [each for each in manifests((GOLDEN / f"{name}.yaml").read_text()) if _is_kubernetes_own(each)]
    assert len(made) > 5
    assert [fault for each in made for fault in published.faults(each, version)] == []


@pytest.mark.parametrize("version", published.VERSIONS)
def test_the_api_is_one_that_this_release_takes(version: str) -> None:
    (api,) = of_kind(rendered(), "CustomResourceDefinition")
    assert published.faults(api, version) == []


def _is_kubernetes_own(manifest: dict[str, Any]) -> bool:
    return str(manifest["apiVersion"]).partition("/")[0] != "monitoring.coreos.com"


def test_the_oldest_release_is_the_one_that_the_chart_names() -> None:
    (described,) = manifests((CHART / "Chart.yaml").read_text())
    oldest = published.VERSIONS[0].removeprefix("v").rpartition(".")[0]
    assert described["kubeVersion"] == f">={oldest}.0-0"


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"replica": 1}, "Deployment.spec.replica is unknown"),
        ({"replicas": "1"}, "Deployment.spec.replicas: '1' is no integer"),
        ({"replicas": True}, "Deployment.spec.replicas: True is no integer"),
        ({"selector": None}, "Deployment.spec.selector: None is no object"),
        ({"template": {"spec": {}}}, "Deployment.spec.template.spec.containers is missing"),
        ({"strategy": {"rollingUpdate": {"maxSurge": [1]}}}, "maxSurge: [1] is no number and no text"),
    ],
    ids=str,
)
def test_a_fault_is_found(change: dict[str, Any], fault: str) -> None:
    (deployment,) = of_kind(rendered(), "Deployment")
    deployment["spec"] |= change
    (found,) = published.faults(deployment, published.VERSIONS[1])
    assert found.endswith(fault)
