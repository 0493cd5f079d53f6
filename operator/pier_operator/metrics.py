"""What the operator tells Prometheus of itself."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

REQUESTS: Final = Counter("pier_operator_requests", "Requests to the API server", ["method"])
WRITES: Final = Counter("pier_operator_writes", "Children made, changed or removed", ["kind", "verb"])
RECONCILES: Final = Counter("pier_operator_reconciles", "Looks at a registry, by how they ended", ["outcome"])
for _outcome in ("done", "retried", "broken"):
    RECONCILES.labels(_outcome)  # told from the start, so that the first fault is an increase
SECONDS: Final = Histogram("pier_operator_reconcile_seconds", "How long a look at a registry took")
WAITING: Final = Gauge("pier_operator_queue", "Registries that wait to be looked at")
LEADING: Final = Gauge("pier_operator_leading", "1: this operator holds the Lease")
READY: Final = Gauge("pier_operator_registry_ready", "1: a push to the registry works", ["namespace", "name"])
CERTIFICATE: Final = Gauge(
    "pier_operator_certificate_end_seconds", "When a registry's certificate ends, since 1970", ["namespace", "name"]
)
