"""Expressions of dashboards and alarms, and whether what they ask for is told: metrics, labels and their values."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from prometheus_client.parser import text_string_to_metric_families

# What Prometheus puts on each series by itself.
TARGET: Final = frozenset({"namespace", "service", "pod", "job", "instance"})
_SELECTOR: Final = re.compile(r"\b([a-z_]\w*)?\{([^}]*)\}")
_MATCHER: Final = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
_GROUPING: Final = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_DURATION: Final = re.compile(r"\[[^\]]*\]")
_NAME: Final = re.compile(r"\b[a-z_]\w*\b(?!\s*\()")
_WORDS: Final = frozenset({"and", "or", "unless", "bool", "offset"})


@dataclass(slots=True)
class Told:
    """What is told on /metrics: label names and values of each series, by its name."""

    labels: dict[str, dict[str, set[str]]] = field(default_factory=dict)

    def read(self, text: str) -> None:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                known = self.labels.setdefault(sample.name, {})
                for label, value in sample.labels.items():
                    known.setdefault(label, set()).add(value)


def metrics(expression: str) -> set[str]:
    """Names of the series that it asks for."""
    bare = _SELECTOR.sub(r"\1", _GROUPING.sub("", _DURATION.sub("", expression)))
    return set(_NAME.findall(bare)) - _WORDS


def faults(expression: str, told: Told) -> list[str]:
    """What it asks for and nobody tells."""
    asked = metrics(expression)
    wrong = [f"no metric {name}" for name in sorted(asked - set(told.labels))]
    for name, matchers in _SELECTOR.findall(expression):
        known = told.labels.get(name, {})
        for label, sign, value in _MATCHER.findall(matchers):
            wrong += _matcher_faults(name, label, _values(sign, value), known)
    grouped = {label.strip() for labels in _GROUPING.findall(expression) for label in labels.split(",")} - {""}
    all_known = TARGET.union(*(told.labels.get(name, {}) for name in asked))
    return wrong + [f"no label {label} to group by" for label in sorted(grouped - all_known)]


def _matcher_faults(name: str, label: str, values: Iterable[str], known: dict[str, set[str]]) -> list[str]:
    if label not in known:
        return [] if label in TARGET else [f"{name} has no label {label}"]
    if label in TARGET:
        return []  # of this test's own making
    return [f"{name} is never told with {label}={value}" for value in values if value not in known[label]]


def _values(sign: str, value: str) -> list[str]:
    """Those that have to be there; what depends on a choice of the reader's is left out."""
    return [] if "$" in value or sign.startswith("!") else value.split("|") if sign == "=~" else [value]
