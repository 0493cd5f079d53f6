"""The Grafana dashboard that the chart brings: its panels in a table, and the JSON that Grafana reads."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

# What a registry's pods tell has the Service of their metrics as a label, what the operator tells the resource's name.
_OPERATOR: Final = '{namespace=~"$namespace",name=~"$registry"}'
_PODS: Final = '{namespace=~"$namespace",service=~"($registry)-metrics"}'
_RESOURCE: Final = "{{namespace}}/{{name}}"
_SERVICE: Final = "{{namespace}}/{{service}}"
_SOURCE: Final = {"type": "prometheus", "uid": "$datasource"}
_WIDTH: Final = 24
_HEIGHT: Final = 8

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Panel:
    """`lines` are expressions, each with its legend. `least` is the smallest good value, of a panel that has one."""

    title: str
    lines: tuple[tuple[str, str], ...]
    unit: str = "short"
    text: str = ""
    least: float | None = None
    stat: bool = False


def _most(metric: str, legend: str = _SERVICE) -> tuple[str, str]:
    """All pods of a registry tell the same sums; one of them may be late."""
    return f"max by (namespace, service) ({metric}{_PODS})", legend


def _least(metric: str) -> tuple[str, str]:
    return f"min by (namespace, service) ({metric}{_PODS})", _SERVICE


def _named(metric: str, legend: str) -> tuple[str, str]:
    return _most(metric, f"{_SERVICE} {legend}")


_STORED: Final = (
    f"delta(pier_layers_bytes{_PODS}[1h]) + delta(pier_pending_bytes{_PODS}[1h]) "
    f"+ increase(pier_freed_bytes_total{_PODS}[1h])"
)

ROWS: Final[dict[str, tuple[Panel, ...]]] = {
    "Registries": (
        Panel(
            "Ready",
            ((f"max by (namespace, name) (pier_operator_registry_ready{_OPERATOR})", _RESOURCE),),
            unit="bool_yes_no",
            text="Whether a push through the front door works. Nothing is told of one that sleeps or is paused.",
            least=1,
            stat=True,
        ),
        Panel(
            "Certificate ends in",
            (
                (
                    f"min by (namespace, name) (pier_operator_certificate_end_seconds{_OPERATOR}) - time()",
                    _RESOURCE,
                ),
            ),
            unit="s",
            text="Renewed by itself at two thirds of its life.",
            least=7 * 86400,
            stat=True,
        ),
        Panel("Database answers", (_least("pier_database_up"),), unit="bool_yes_no", least=1, stat=True),
        Panel("Pods that answer", ((f"count by (namespace, service) (pier_build_info{_PODS})", _SERVICE),), stat=True),
        Panel("Read-only", (_most("pier_read_only"),), unit="bool_yes_no", stat=True),
        Panel(
            "Users files in force",
            ((f"count by (namespace, service, sha256) (pier_users_info{_PODS})", _SERVICE + " {{sha256}}"),),
            text="Pods that go by each users file. More than one file means that a change is still on its way.",
        ),
        Panel(
            "Files that cannot be used",
            tuple(_named(f"pier_{name}_stale", name) for name in ("users", "rights", "mode")),
            text="1 while the last good one is in force instead.",
        ),
    ),
    "Space": (
        Panel("Stored", (_most("pier_layers_bytes"),), unit="bytes"),
        Panel("Free on the volume", (_least("pier_storage_free_bytes"),), unit="bytes"),
        Panel(
            "Stored by pushes in an hour",
            ((f"clamp_min(max by (namespace, service) ({_STORED}), 0)", _SERVICE),),
            unit="bytes",
            text="New layers only: what was there already is not sent.",
        ),
        Panel(
            "Given back by deletes in an hour",
            ((f"max by (namespace, service) (increase(pier_freed_bytes_total{_PODS}[1h]))", _SERVICE),),
            unit="bytes",
        ),
        Panel("Still to be unlinked", (_most("pier_pending_bytes"),), unit="bytes"),
        Panel("Files still to be unlinked", (_most("pier_pending_files"),), text="0 but for a moment after a delete."),
    ),
    "Traffic": (
        Panel(
            "Answers a second",
            ((f"sum by (namespace, service, code) (rate(pier_requests_total{_PODS}[5m]))", _SERVICE + " {{code}}"),),
            text="By the registry; what its proxy refuses by itself is in its log alone.",
        ),
        Panel(
            "Requests a second",
            (
                (
                    f"sum by (namespace, service, protocol, method) (rate(pier_requests_total{_PODS}[5m]))",
                    _SERVICE + " {{protocol}} {{method}}",
                ),
            ),
        ),
        Panel(
            "How long a question takes",
            tuple(
                (
                    f"histogram_quantile({part}, sum by (namespace, service, le) "
                    f'(rate(pier_request_seconds_bucket{_PODS[:-1]},method="GET"}}[5m])))',
                    f"{_SERVICE} {name}",
                )
                for part, name in ((0.5, "half"), (0.99, "99 of 100"))
            ),
            unit="s",
            text="Until its answer begins. Uploads are not among them: they take as long as their bodies.",
        ),
    ),
    "Content": (
        Panel("Repositories", (_most("pier_repositories"),)),
        Panel("Tags", (_most("pier_tags"),)),
        Panel(
            "Manifests, v1 images and layers",
            tuple(_named(f"pier_{name}", name) for name in ("manifests", "images", "layers")),
        ),
        Panel("Uploads under way", (_most("pier_uploads"),)),
        Panel(
            "Promises",
            (_most("pier_leases"),),
            text="What running pushes were told is there, and manifests in their untagged grace.",
        ),
    ),
    "Operator": (
        Panel("Leaders", (("sum(pier_operator_leading)", "leaders"),), least=1, stat=True),
        Panel("Versions of pods", (("count by (version) (pier_build_info)", "{{version}}"),), stat=True),
        Panel(
            "Looks at registries a second",
            (("sum by (outcome) (rate(pier_operator_reconciles_total[5m]))", "{{outcome}}"),),
            text="A broken one is a fault of the operator, a retried one was refused by the API server.",
        ),
        Panel(
            "How long a look takes",
            tuple(
                (
                    f"histogram_quantile({part}, sum by (le) (rate(pier_operator_reconcile_seconds_bucket[5m])))",
                    name,
                )
                for part, name in ((0.5, "half"), (0.99, "99 of 100"))
            ),
            unit="s",
        ),
        Panel(
            "Registries in the queue",
            (("sum(pier_operator_queue)", "waiting"),),
            text="Those that are looked at again later are among them, so at rest each is in it once.",
        ),
        Panel(
            "Children written a second",
            (("sum by (kind, verb) (rate(pier_operator_writes_total[5m]))", "{{verb}} {{kind}}"),),
            text="Nothing at rest.",
        ),
        Panel(
            "Requests to the API server a second",
            (("sum by (method) (rate(pier_operator_requests_total[5m]))", "{{method}}"),),
        ),
        Panel(
            "Memory",
            (("process_resident_memory_bytes and on (job, instance) pier_operator_leading", "{{pod}}"),),
            unit="bytes",
        ),
    ),
}  # fmt: skip

# What can be chosen above the panels, by what it is asked of.
CHOICES: Final = {
    "namespace": "label_values(pier_operator_registry_ready, namespace)",
    "registry": 'label_values(pier_operator_registry_ready{namespace=~"$namespace"}, name)',
}


def text() -> str:
    """The file."""
    return json.dumps(dashboard(), indent=2) + "\n"


def dashboard() -> Json:
    """In Grafana's form of 10 and later."""
    return {
        "uid": "pier",
        "title": "Pier",
        "description": "Container registries and their operator",
        "tags": ["pier"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "1m",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [_data_source(), *(_choice(name, query) for name, query in CHOICES.items())]},
        "panels": _laid_out(),
    }


def _data_source() -> Json:
    return {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Data source"}


def _choice(name: str, query: str) -> Json:
    return {
        "name": name,
        "type": "query",
        "label": name.capitalize(),
        "datasource": _SOURCE,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }


def _laid_out() -> list[Json]:
    """Rows below each other; in each, panels from left to right, three beside each other."""
    made: list[Json] = []
    top = 0
    for title, panels in ROWS.items():
        place = {"x": 0, "y": top, "w": _WIDTH, "h": 1}
        made.append({"id": len(made) + 1, "type": "row", "title": title, "collapsed": False, "gridPos": place})
        top += 1
        wide = _WIDTH // 3
        for number, panel in enumerate(panels):
            place = {"x": number % 3 * wide, "y": top + number // 3 * _HEIGHT, "w": wide, "h": _HEIGHT}
            made.append({"id": len(made) + 1, **_panel(panel), "gridPos": place})
        top += -(-len(panels) // 3) * _HEIGHT
    return made


def _panel(panel: Panel) -> Json:
    good: Json = {"color": "green", "value": None}
    steps = [good] if panel.least is None else [{**good, "color": "red"}, {"color": "green", "value": panel.least}]
    return {
        "type": "stat" if panel.stat else "timeseries",
        "title": panel.title,
        "description": panel.text,
        "datasource": _SOURCE,
        "targets": [
            {"refId": chr(ord("A") + number), "datasource": _SOURCE, "expr": expression, "legendFormat": legend}
            for number, (expression, legend) in enumerate(panel.lines)
        ],
        "fieldConfig": {
            "defaults": {"unit": panel.unit, "thresholds": {"mode": "absolute", "steps": steps}},
            "overrides": [],
        },
        "options": {"textMode": "value_and_name"} if panel.stat else {"legend": {"displayMode": "list"}},
    }
