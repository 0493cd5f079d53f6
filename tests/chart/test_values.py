"""values.yaml, its schema and its table are one; each value has an effect; a wrong one is refused with a reason."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

import pytest
import yaml

from charts.generate import CHART, Schema, files, leaves, strict
from tests.chart.rendering import Refused, Values, rendered

_SOURCE: Final[Schema] = yaml.safe_load((CHART / "values.schema.yaml").read_text(encoding="utf-8"))
_LEAVES: Final = {".".join(path): leaf for path, leaf in leaves(_SOURCE)}
_AGENTS: Final[Values] = {"nodeTrust": {"allowedHosts": ["registry.example.org"]}}
# What shows only beside something else.
_TOGETHER: Final[dict[str, Values]] = {
    "serviceAccount.create": {"serviceAccount": {"name": "captain"}},
    "serviceMonitor.labels": {"serviceMonitor": {"enabled": True}},
    "serviceMonitor.interval": {"serviceMonitor": {"enabled": True}},
    "prometheusRule.labels": {"prometheusRule": {"enabled": True}},
    "monitoring.runbookUrl": {"prometheusRule": {"enabled": True}},
    "monitoring.dashboard.labels": {"monitoring": {"dashboard": {"enabled": True}}},
    "monitoring.dashboard.annotations": {"monitoring": {"dashboard": {"enabled": True}}},
    **{path: _AGENTS for path in _LEAVES if path.startswith("nodeTrust.") and path != "nodeTrust.allowedHosts"},
}


@cache
def _default() -> str:
    return rendered()


@pytest.mark.parametrize("name", [path.name for path in files()])
def test_a_generated_file_is_as_its_source_says(name: str) -> None:
    """`python -m charts.generate` writes them."""
    (path,) = [path for path in files() if path.name == name]
    assert path.read_text(encoding="utf-8") == files()[path]


def _set(path: str, value: object, beside: Values) -> dict[str, Any]:
    made: dict[str, Any] = copy.deepcopy(dict(beside))
    *above, last = path.split(".")
    place = made
    for key in above:
        place = place.setdefault(key, {})
    place[last] = value
    return made


@pytest.mark.parametrize("path", _LEAVES)
def test_every_value_has_an_effect(path: str) -> None:
    beside = _TOGETHER.get(path, {})
    (example,) = _LEAVES[path]["examples"]
    assert rendered(_set(path, example, beside)) != (rendered(beside) if beside else _default())


@pytest.mark.parametrize("path", _LEAVES)
def test_every_value_is_what_the_table_says_when_it_is_not_set(path: str) -> None:
    assert rendered(_set(path, _LEAVES[path]["default"], {})) == _default()


def _objects(schema: Schema, path: str = "values") -> Iterator[tuple[str, Schema]]:
    if schema.get("type") == "object":
        yield path, schema
    for name, each in schema.get("properties", {}).items():
        yield from _objects(each, f"{path}.{name}")
    if "items" in schema:
        yield from _objects(schema["items"], f"{path}[]")


def test_every_level_is_closed_or_says_what_goes() -> None:
    open_ones = [path for path, each in _objects(strict(_SOURCE)) if "additionalProperties" not in each]
    assert open_ones == ["values.global"]


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"replicas": 2}, "additional properties 'replicas' not allowed"),
        ({"image": {"name": "x"}}, "at '/image': additional properties 'name' not allowed"),
        ({"operands": {"mysql": {"image": {"pullPolicy": "x"}}}}, "additional properties 'pullPolicy' not allowed"),
        ({"replicaCount": 0}, "at '/replicaCount': minimum: got 0, want 1"),
        ({"replicaCount": "two"}, "at '/replicaCount': got string, want integer"),
        ({"imagePullPolicy": "x"}, "at '/imagePullPolicy': value must be one of 'Always', 'IfNotPresent', 'Never'"),
        ({"image": {"digest": "sha256:abc"}}, "at '/image/digest': 'sha256:abc' does not match pattern"),
        ({"watchNamespaces": "team-a"}, "at '/watchNamespaces': got string, want array"),
        ({"watchNamespaces": ["Team"]}, "at '/watchNamespaces/0': 'Team' does not match pattern"),
        ({"user": 0}, "at '/user': minimum: got 0, want 1"),
        ({"extraEnv": [{"value": "x"}]}, "at '/extraEnv/0': missing property 'name'"),
        ({"imagePullSecrets": ["mirror"]}, "at '/imagePullSecrets/0': got string, want object"),
        ({"serviceAccount": {"create": False}}, "serviceAccount.name is needed when serviceAccount.create is false"),
        ({"operands": {"mysql": {"image": {"tag": ""}}}}, "mysql has neither tag nor digest: set one"),
    ],
    ids=lambda each: None if isinstance(each, str) else str(each)[:40],
)  # fmt: skip
def test_a_wrong_value_is_refused_with_its_reason(values: Values, reason: str) -> None:
    with pytest.raises(Refused) as refused:
        rendered(values)
    assert reason in str(refused.value)
