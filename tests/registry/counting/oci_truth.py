"""What must hold of manifests whatever happened, beside what `truth` tells of counts, files and bytes.

Every manifest is what its document says, and is reached from a tag or a promise: down the edges of indexes, and from
a manifest to what refers to it.
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

from pier_registry.actions.registry import Registry
from pier_registry.metadata.session import Transaction
from tests.registry.counting import truth
from tests.registry.counting.truth import Row, Rows
from tests.registry.v2 import documents


def holds(registry: Registry) -> None:
    """At any moment between two steps."""
    assert problems(registry) == []


def is_at_rest(registry: Registry) -> None:
    """Once nobody works on the registry and every promise has ended."""
    assert problems(registry) == []
    truth.is_at_rest(registry)


def problems(registry: Registry) -> list[str]:
    found = truth.rows(registry)
    return [*truth.problems(registry), *_unlike_their_documents(registry, found), *_unreached(found)]


def tags(registry: Registry) -> dict[tuple[str, str], str]:
    """Digests by full repository name and tag, without what is hidden and what only v1 has."""
    found = truth.rows(registry)
    names, manifests = found.by_id("repository"), found.by_id("manifest")
    return {
        (names[row["repository_id"]]["name"], row["name"]): manifests[row["manifest_id"]]["digest"]
        for row in found.of("tag")
        if row["manifest_id"] is not None and not names[row["repository_id"]]["name"].startswith("#")
    }


def stored_rows(registry: Registry) -> dict[tuple[str, str], int]:
    """Row ids of manifests by full repository name and digest, without what is hidden."""
    found = truth.rows(registry)
    names = {row["id"]: row["name"] for row in found.of("repository") if not row["name"].startswith("#")}
    return {
        (names[row["repository_id"]], row["digest"]): row["id"]
        for row in found.of("manifest")
        if row["repository_id"] in names
    }


def stored(registry: Registry) -> dict[str, set[str]]:
    """Digests of the manifests of each repository, by its full name."""
    held: dict[str, set[str]] = defaultdict(set)
    for name, digest in stored_rows(registry):
        held[name].add(digest)
    return held


def _unlike_their_documents(registry: Registry, found: Rows) -> list[str]:
    manifests, layers = found.by_id("manifest"), found.by_id("layer")
    holds: dict[int, set[str]] = defaultdict(set)
    for edge in found.of("manifest_layer"):
        holds[edge["manifest_id"]].add(layers[edge["layer_id"]]["digest"])
    for edge in found.of("manifest_child"):
        holds[edge["parent_id"]].add(manifests[edge["child_id"]]["digest"])
    wrong: list[str] = []
    for row in registry.metadata.read(_bodies):
        told = json.loads(row["body"])
        wrong += [
            f"manifest {row['digest']} {what}"
            for what, is_right in (
                ("has another digest", documents.digest(row["body"]) == row["digest"]),
                ("has another size", len(row["body"]) == row["size"]),
                ("is of another type", documents.media_type(row["body"]) == row["media_type"]),
                ("does not hold what it names", holds[row["id"]] == _named(told)),
                ("refers to something else", row["subject_digest"] == (told.get("subject") or {}).get("digest")),
            )
            if not is_right
        ]
    return wrong


def _bodies(tx: Transaction) -> list[Row]:
    columns = ("digest", "media_type", "subject_digest")
    found = tx.connection.exec_driver_sql(f"SELECT id, size, body, {', '.join(columns)} FROM manifest")
    rows = [dict(row) for row in found.mappings()]
    return [row | {name: _text(row[name]) for name in columns} for row in rows]


def _text(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value


def _named(document: dict[str, Any]) -> set[str]:
    listed = [*document.get("layers", []), *document.get("manifests", [])]
    return {each["digest"] for each in [*listed, *([document["config"]] if "config" in document else [])]}


def _unreached(found: Rows) -> list[str]:
    below: dict[int, set[int]] = defaultdict(set)
    for edge in found.of("manifest_child"):
        below[edge["parent_id"]].add(edge["child_id"])
    by_digest = {(row["repository_id"], row["digest"]): row["id"] for row in found.of("manifest")}
    for row in found.of("manifest"):
        subject = by_digest.get((row["repository_id"], row["subject_digest"]))
        if subject is not None:
            below[subject].add(row["id"])
    waiting = {row["manifest_id"] for row in found.of("tag")} - {None}
    waiting |= {row["object_id"] for row in found.of("lease") if row["kind"] == "manifest"}
    reached: set[int] = set()
    while waiting:
        at = waiting.pop()
        reached.add(at)
        waiting |= below[at] - reached
    return [f"nothing leads to manifest {row}" for row in found.of("manifest") if row["id"] not in reached]
