"""What the chart lets the operator do: all that it needs, by name, and only where it was told to."""

from __future__ import annotations

from typing import Any

import pytest

from pier_operator import api
from tests.chart.rendering import Manifest, of_kind, operator, rendered, samples

_KEPT = {"get", "list", "watch", "create", "patch", "delete"}


def _operators(text: str) -> Manifest:
    """The role that says what it may do with registries and what they are made of."""
    roles = [*of_kind(text, "ClusterRole"), *of_kind(text, "Role")]
    return next(role for role in roles if any("secrets" in rule["resources"] for rule in role["rules"]))


def _verbs(role: Manifest, kind: api.Kind) -> set[str]:
    fitting = [rule for rule in role["rules"] if kind.group in rule["apiGroups"] and kind.plural in rule["resources"]]
    return {verb for rule in fitting for verb in rule["verbs"]}


@pytest.mark.parametrize("kind", [*api.BUILT_IN, *api.OPTIONAL], ids=lambda kind: kind.name)
def test_it_may_keep_each_kind_that_it_makes(kind: api.Kind) -> None:
    assert _verbs(_operators(rendered()), kind) == _KEPT


def test_it_may_read_registries_and_write_no_more_than_their_status() -> None:
    role = _operators(rendered())
    assert _verbs(role, api.PIER_REGISTRY) == {"get", "list", "watch"}
    rules = [rule for rule in role["rules"] if "pierregistries/status" in rule["resources"]]
    assert [rule["verbs"] for rule in rules] == [["patch"]]


@pytest.mark.parametrize("name", samples())
def test_nothing_is_granted_by_a_star(name: str) -> None:
    text = rendered(samples()[name])
    rules = [rule for kind in ("Role", "ClusterRole") for role in of_kind(text, kind) for rule in role["rules"]]
    assert rules
    assert [rule for rule in rules if "*" in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]] == []


def test_an_operator_of_some_namespaces_has_no_right_in_any_other() -> None:
    text = rendered({"watchNamespaces": ["team-a", "team-b"], "rbac": {"aggregate": False}})
    assert of_kind(text, "ClusterRole") == of_kind(text, "ClusterRoleBinding") == []
    places = {(role["metadata"]["namespace"], _reads_secrets(role)) for role in of_kind(text, "Role")}
    assert places == {("team-a", True), ("team-b", True), ("pier-system", False)}


def _reads_secrets(role: Manifest) -> bool:
    return any("secrets" in rule["resources"] for rule in role["rules"])


def test_every_binding_is_the_operators() -> None:
    text = rendered({"watchNamespaces": ["team-a"]})
    subjects: list[Any] = [each["subjects"] for each in of_kind(text, "RoleBinding")]
    account = {
        "kind": "ServiceAccount",
        "name": operator(text)["spec"]["serviceAccountName"],
        "namespace": "pier-system",
    }
    assert subjects == [[account]] * 2
