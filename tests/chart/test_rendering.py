"""What the chart renders: the same for the same values, as in the golden files, and nothing by chance."""

from __future__ import annotations

import pytest

from charts.generate import API, CHART
from pier_operator import __version__
from tests.chart.rendering import (
    GOLDEN,
    golden,
    helm,
    manifests,
    of_kind,
    operator,
    rendered,
    samples,
    settings,
)


@pytest.mark.parametrize("name", samples())
def test_it_renders_what_it_did(name: str) -> None:
    """`python -m tests.chart.rendering` writes the files anew."""
    assert golden(samples()[name]) == (GOLDEN / f"{name}.yaml").read_text()


def test_twenty_renders_are_equal_to_the_byte() -> None:
    values = samples()["mirror"]
    assert len({rendered(values) for _ in range(20)}) == 1


def test_a_golden_file_of_no_sample_is_gone() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == set(samples())


@pytest.mark.parametrize("name", samples())
def test_helm_finds_nothing_wrong(name: str) -> None:
    told = helm("lint", "--strict", "--quiet", "--kube-version=1.34.4", str(CHART), values=samples()[name])
    assert "[WARNING]" not in told
    assert "[ERROR]" not in told


def test_the_api_is_the_one_of_the_tree_and_stays() -> None:
    (api,) = of_kind(rendered(), "CustomResourceDefinition")
    assert api["metadata"].pop("annotations") == {"helm.sh/resource-policy": "keep"}
    assert [api] == manifests(API.read_text(encoding="utf-8"))


def test_the_api_goes_only_when_that_is_asked_for() -> None:
    (api,) = of_kind(rendered({"crds": {"keep": False}}), "CustomResourceDefinition")
    assert [api] == manifests(API.read_text(encoding="utf-8"))
    assert of_kind(rendered({"crds": {"enabled": False}}), "CustomResourceDefinition") == []


def test_the_chart_has_the_version_of_what_it_installs() -> None:
    (described,) = manifests((CHART / "Chart.yaml").read_text())
    assert (described["version"], described["appVersion"]) == (__version__, __version__)
    assert settings(rendered())["PIER_OPERATOR_REGISTRY_IMAGE"] == f"pier-registry:{__version__}"


def test_two_releases_share_no_name() -> None:
    """In one namespace, or under one name in two; but for the API, of which there is one."""
    values = {"crds": {"enabled": False}}
    here, beside, elsewhere = (
        rendered(values),
        rendered(values, release="other"),
        rendered(values, "--namespace=elsewhere"),
    )
    for other in (beside, elsewhere):
        assert _names(here).isdisjoint(_names(other))


def _names(text: str) -> set[tuple[str, str, str]]:
    found = [(each["kind"], each["metadata"]) for each in manifests(text)]
    return {(kind, meta.get("namespace", ""), meta["name"]) for kind, meta in found}


def test_a_label_of_the_user_never_takes_the_place_of_the_charts_own() -> None:
    text = rendered(
        {"commonLabels": {"app.kubernetes.io/name": "other"}, "podLabels": {"app.kubernetes.io/instance": "other"}}
    )
    labels = operator(text)["metadata"]["labels"]
    (deployment,) = of_kind(text, "Deployment")
    assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_a_pod_of_the_test_is_none_of_the_operator() -> None:
    text = rendered()
    (service,) = of_kind(text, "Service")
    (test,) = of_kind(text, "Pod")
    assert not service["spec"]["selector"].items() <= test["metadata"]["labels"].items()
    assert service["spec"]["selector"].items() <= operator(text)["metadata"]["labels"].items()


def test_large_user_ids_stay_numbers() -> None:
    """Helm reads whole numbers of a file as floats."""
    text = rendered({"user": 1000680000, "operands": {"registry": {"user": 1000680001}}})
    assert operator(text)["spec"]["securityContext"]["runAsUser"] == 1000680000
    assert settings(text)["PIER_OPERATOR_REGISTRY_USER"] == "1000680001"


def test_user_ids_can_be_left_to_the_cluster() -> None:
    text = rendered(samples()["namespaces"])
    assert "runAsUser" not in operator(text)["spec"]["securityContext"]
    assert {settings(text)[f"PIER_OPERATOR_{name}_USER"] for name in ("REGISTRY", "MYSQL")} == {""}
