"""From the apply of an empty spec to each child of the registry."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

from bench.figures import Bound, Row, Spread
from bench.operator import field
from bench.operator.field import Field
from bench.stage import Bench
from pier_operator.api import Manifest
from tests.operator.cluster import UNGATED

NAME: Final = "operator"
_SOON: Final = Bound("at most", 3.0)
_AT_ONCE: Final = Bound("at most", 1.0)
_DATABASE, _MIGRATION, _CHILDREN = "Job, after the database is ready", "Deployment, after the Job", "children"


def measure(bench: Bench) -> Iterator[Row]:
    """The kubelet is played; judged is the worst of all rounds. The first apply meets a fresh operator."""
    with field.working(bench) as here:
        here.cluster.node.start()
        first = _round(here, here.namespace("installing-first"))
        rounds = [_round(here, here.namespace(f"installing-{number}")) for number in range(bench.rounds)]
    subject = f"apply of an empty spec: all {len(UNGATED)} ungated children"
    yield _row(subject, rounds, _CHILDREN, _SOON)
    yield _row(f"{subject}, the first when the operator has just started", [first], _CHILDREN, None)
    for gated in (_DATABASE, _MIGRATION):
        yield _row(f"gated child: {gated}", rounds, gated, _AT_ONCE)


def _row(subject: str, rounds: list[dict[str, float]], key: str, bound: Bound | None) -> Row:
    spread = Spread.of(each[key] for each in rounds)
    return Row(NAME, subject, "s", spread, bound=bound, judged=spread.most)


def _round(here: Field, namespace: str) -> dict[str, float]:
    """Seconds. A gate opens when its controller's status is seen, and the child is there when it is seen."""
    node, witness = here.cluster.node, here.witness
    node.hold(namespace, "database", "migration", "registry")
    begin = time.monotonic()
    here.cluster.create(namespace)
    made = max(witness.moment(namespace, *child) for child in UNGATED)
    here.cluster.wait_for(namespace, "DatabaseReady", "Starting")
    node.release(namespace, "database")
    ready = witness.moment(namespace, "StatefulSet", holds=_is_ready)
    job = witness.moment(namespace, "Job")
    node.release(namespace, "migration")
    migrated = witness.moment(namespace, "Job", holds=_is_complete)
    deployment = witness.moment(namespace, "Deployment")
    return {_CHILDREN: made - begin, _DATABASE: job - ready, _MIGRATION: deployment - migrated}


def _is_ready(database: Manifest) -> bool:
    return bool((database.get("status") or {}).get("readyReplicas"))


def _is_complete(job: Manifest) -> bool:
    conditions = (job.get("status") or {}).get("conditions", [])
    return any(each["type"] == "Complete" and each["status"] == "True" for each in conditions)
