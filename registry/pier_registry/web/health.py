"""The private port: is the process there, can it serve, and how much it holds."""

from __future__ import annotations

from dataclasses import asdict
from typing import Final

from flask import Blueprint, Response, request
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.registry import Collector

from pier_registry import __version__, errors
from pier_registry.actions import inspect
from pier_registry.actions.registry import Registry
from pier_registry.metadata import version
from pier_registry.web.context import doors, registry
from pier_registry.web.gate import open_to_all
from pier_registry.web.responses import as_json
from pier_registry.web.traffic import Told

Family = GaugeMetricFamily | CounterMetricFamily | InfoMetricFamily

_HELP: Final = {
    "repositories": "Repositories",
    "tags": "Tags",
    "manifests": "Manifests",
    "images": "Complete v1 images",
    "layers": "Layers",
    "leases": "Promises to running pushes",
    "uploads": "Uploads under way",
    "pending_files": "Files waiting to be removed",
}


def blueprint(*, private_only: bool) -> Blueprint:
    """`private_only`: behind nginx the routes answer only on its private port, which says so in a header."""
    room = Blueprint("health", __name__)
    for path, view in (("/healthz", healthz), ("/readyz", readyz), ("/metrics", metrics)):
        room.get(path)(view)
    if private_only:
        room.before_request(_from_private_port)
    return room


def _from_private_port() -> None:
    if request.headers.get("X-Pier-Private") != "1":
        raise errors.RouteUnknown


@open_to_all
def healthz() -> Response:
    return as_json({"status": "ok", "version": __version__})


@open_to_all
def readyz() -> Response:
    """503 names what is missing: the database, its schema, or the storage."""
    checks = readiness(registry())
    ready = all(found == "ok" for found in checks.values())
    return as_json({"status": "ready" if ready else "not ready", "checks": checks}, 200 if ready else 503)


def readiness(of: Registry) -> dict[str, str]:
    return {"database": _database(of), "storage": _storage(of)}


def _database(of: Registry) -> str:
    try:
        of.metadata.read(lambda tx: tx.now)
        behind = not of.metadata.current and version.state(of.metadata) == "behind"
    except errors.PierError as trouble:
        return trouble.message
    return "the schema is not up to date: run `pier migrate`" if behind else "ok"


def _storage(of: Registry) -> str:
    try:
        of.storage.free()
    except OSError as trouble:
        return f"the data folder cannot be read: {trouble.strerror}"
    return "ok"


@open_to_all
def metrics() -> Response:
    collected = CollectorRegistry(auto_describe=False)
    collected.register(_Sums(registry()))
    collected.register(Told(doors().counts))
    return Response(generate_latest(collected), content_type=CONTENT_TYPE_LATEST)


class _Sums(Collector):
    """Figures are sums over rows, so every worker and every pod tells the same."""

    def __init__(self, of: Registry) -> None:
        self._registry = of

    def collect(self) -> list[Family]:
        rights, users, mode = doors().rights, doors().users, doors().mode
        sums = self._of_rows()
        return [
            *sums,
            GaugeMetricFamily("pier_database_up", "1: the database answers", value=int(bool(sums))),
            GaugeMetricFamily(
                "pier_storage_free_bytes", "Bytes that can be written", value=self._registry.storage.free()
            ),
            GaugeMetricFamily("pier_users_stale", "1: the users file cannot be read", value=int(users.stale)),
            GaugeMetricFamily("pier_rights_stale", "1: the rights file cannot be used", value=int(rights.stale)),
            GaugeMetricFamily("pier_mode_stale", "1: the mode file cannot be used", value=int(bool(mode.trouble))),
            GaugeMetricFamily("pier_read_only", "1: nothing can be changed over http", value=int(mode.read_only)),
            InfoMetricFamily("pier_users", "The users file in force", value={"sha256": users.current().version}),
            InfoMetricFamily("pier_build", "Version", value={"version": __version__}),
        ]

    def _of_rows(self) -> list[Family]:
        """None of them while the database does not answer: that is when the other figures are wanted."""
        try:
            usage = asdict(inspect.totals(self._registry))
        except errors.PierError:
            return []
        return [
            *(GaugeMetricFamily(f"pier_{name}", text, value=usage[name]) for name, text in _HELP.items()),
            GaugeMetricFamily("pier_layers_bytes", "Bytes stored in layers", value=usage["bytes"]),
            GaugeMetricFamily("pier_pending_bytes", "Bytes waiting to be unlinked", value=usage["pending_bytes"]),
            CounterMetricFamily("pier_freed_bytes", "Bytes freed by deletes", value=usage["freed_bytes"]),
        ]
