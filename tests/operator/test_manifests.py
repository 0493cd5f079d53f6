"""Golden manifests: what is planned is what was agreed on, and what a real API server takes."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from pier_operator import api
from pier_operator.apply import is_within
from pier_operator.kube import path_of
from pier_operator.plan import plan
from tests.chart import published
from tests.operator import golden
from tests.operator.cluster import Cluster
from tests.operator.planning import manifests, settled, situation

_APPLY = "application/apply-patch+yaml"


@pytest.mark.parametrize("case", golden.CASES)
def test_the_plan_is_the_golden_one(case: str) -> None:
    assert golden.rendered(case) == (golden.HERE / f"{case}.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize("case", golden.CASES)
def test_a_plan_made_again_is_the_same(case: str) -> None:
    spec = golden.CASES[case]
    found = settled(spec, references=golden.REFERENCES)
    again = manifests(plan(situation(spec, children=found, references=golden.REFERENCES)))
    assert all(is_within(each, live) for each, live in zip(again, found, strict=True))


def test_no_chance_is_taken_once_all_is_there() -> None:
    """A second look, with other dice, plans the same."""
    from tests.operator.planning import StillChance

    found = settled({"auth": {"users": [{"name": "alice"}]}})
    first = situation({"auth": {"users": [{"name": "alice"}]}}, children=found)
    assert manifests(plan(first)) == manifests(plan(replace(first, chance=StillChance(seed=99))))


@pytest.mark.parametrize("case", golden.CASES)
def test_a_real_api_server_takes_every_child(cluster: Cluster, namespace: str, case: str) -> None:
    for child in golden.children(case):
        if child["kind"] in {kind.name for kind in api.OPTIONAL}:
            continue
        child["metadata"]["namespace"] = namespace
        answer = _dry_run(cluster, child)
        assert is_within(child, answer), f"{child['kind']} {child['metadata']['name']}"


@pytest.mark.parametrize("version", published.VERSIONS)
@pytest.mark.parametrize("case", golden.CASES)
def test_every_child_is_one_that_this_release_takes(case: str, version: str) -> None:
    """Held against what Kubernetes publishes, unknown fields too; kinds of other projects are not in there."""
    foreign = {kind.name for kind in api.OPTIONAL}
    made = [each for each in golden.children(case) if each["kind"] not in foreign]
    assert len(made) > 10
    assert [fault for each in made for fault in published.faults(each, version)] == []


def _dry_run(cluster: Cluster, child: api.Manifest) -> dict[str, Any]:
    query = {"dryRun": "All", "fieldManager": "test", "fieldValidation": "Strict"}
    body: api.Manifest = json.loads(json.dumps(child))
    return cluster.kube.request("PATCH", path_of(child), query, body, _APPLY)
