"""What must hold whatever happened, read from rows and files by other code than the registry's own.

Edges are counted in Python from whole tables; the registry's recount in SQL must agree with it.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from pier_registry.actions.registry import Registry
from pier_registry.metadata import recount
from pier_registry.metadata.session import Transaction
from pier_registry.names import Digest, layer_path, upload_path

COLUMNS: Final = {
    "repository": "id, name",
    "tag": "id, repository_id, name, manifest_id, image_id",
    "manifest": "id, repository_id, digest, subject_digest, cnt",
    "manifest_child": "parent_id, child_id",
    "manifest_layer": "manifest_id, layer_id",
    "image": "id, image_id, parent_id, layer_id, depth, cnt",
    "layer": "id, digest, size, generation, lost, cnt",
    "lease": "id, kind, object_id, repository, pusher, promises",
    "push_session": "id, repository, pusher",
    "upload": "id, uuid, digest, expected",
    "outbox": "id, path",
}

Row = dict[str, Any]


@dataclass(slots=True)
class Rows:
    """Every table by name; rows by column."""

    tables: dict[str, list[Row]]
    miscounts: list[recount.Miscount]

    def of(self, table: str) -> list[Row]:
        return self.tables[table]

    def by_id(self, table: str) -> dict[int, Row]:
        return {row["id"]: row for row in self.tables[table]}


def rows(registry: Registry) -> Rows:
    def work(tx: Transaction) -> Rows:
        return Rows({name: _table(tx, name) for name in COLUMNS}, recount.miscounts(tx))

    return registry.metadata.read(work)


def _table(tx: Transaction, name: str) -> list[Row]:
    found = tx.connection.exec_driver_sql(f"SELECT {COLUMNS[name]} FROM {name} ORDER BY 1")
    return [{key: _text(value) for key, value in row.items()} for row in found.mappings()]


def _text(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value


def count(registry: Registry, table: str) -> int:
    return len(rows(registry).of(table))


def files(registry: Registry, area: str = "layers") -> dict[str, int]:
    """Paths below the data folder with their sizes."""
    listed = registry.storage.layers() if area == "layers" else registry.storage.uploads()
    return {file.path: file.size for file in listed}


def tags(registry: Registry) -> dict[tuple[str, str], str]:
    """Image ids by full repository name and tag."""
    found = rows(registry)
    names, images = found.by_id("repository"), found.by_id("image")
    return {
        (names[row["repository_id"]]["name"], row["name"]): images[row["image_id"]]["image_id"]
        for row in found.of("tag")
    }


def promises(registry: Registry, repository: str, pusher: str) -> list[Row]:
    """What a client is promised there; outside any session, `repository` is empty."""
    return _of(rows(registry).of("lease"), repository, pusher)


def is_pushing(registry: Registry, repository: str, pusher: str) -> bool:
    return bool(_of(rows(registry).of("push_session"), repository, pusher))


def _of(found: list[Row], repository: str, pusher: str) -> list[Row]:
    return [row for row in found if (row["repository"], row["pusher"]) == (repository, pusher)]


def holds(registry: Registry) -> None:
    """The invariants of any moment between two steps."""
    assert (wrong := problems(registry)) == [], wrong


def is_at_rest(registry: Registry) -> None:
    """And those of a registry that nobody works on: files are rows, and everything is held by a tag."""
    found = rows(registry)
    wrong = problems(registry)
    wrong += [f"left: {table} {row}" for table in ("lease", "upload", "outbox") for row in found.of(table)]
    wrong += [f"unheld: {table} {row}" for table, row in _loose(found)]
    wrong += [f"hidden: {row}" for row in found.of("repository") if row["name"].startswith("#")]
    wrong += [f"stray upload: {path}" for path in files(registry, "uploads")]
    if files(registry) != _stored(found):
        wrong.append(f"files and rows differ: {sorted(set(files(registry)) ^ set(_stored(found)))}")
    assert wrong == [], wrong


def problems(registry: Registry) -> list[str]:
    found = rows(registry)
    state = _State(found, files(registry))
    _counts(state)
    _chains(state)
    _unheld(state)
    _files(state)
    _contents(registry, state)
    return state.wrong


@dataclass(slots=True)
class _State:
    rows: Rows
    files: dict[str, int]
    wrong: list[str] = field(default_factory=list)


def _counts(state: _State) -> None:
    found = state.rows
    for table, counted in _edges(found).items():
        for row in found.of(table):
            if row["cnt"] != counted[row["id"]]:
                state.wrong.append(f"{table} {row} has {counted[row['id']]} holders")
    state.wrong += [f"the registry's own recount: {miscount}" for miscount in found.miscounts]


def _edges(found: Rows) -> dict[str, Counter[int]]:
    return {
        "manifest": Counter(row["manifest_id"] for row in found.of("tag"))
        + Counter(row["child_id"] for row in found.of("manifest_child")),
        "image": Counter(row["image_id"] for row in found.of("tag"))
        + Counter(row["parent_id"] for row in found.of("image")),
        "layer": Counter(row["layer_id"] for row in found.of("image"))
        + Counter(row["layer_id"] for row in found.of("manifest_layer")),
    }


def _chains(state: _State) -> None:
    """Every tag's image is there with all its ancestors, each one deeper by one, and all their files."""
    images, layers = state.rows.by_id("image"), state.rows.by_id("layer")
    for tag in state.rows.of("tag"):
        row_id, depth = tag["image_id"], 0
        while row_id is not None:
            image = images.get(row_id)
            if image is None or image["layer_id"] not in layers:
                state.wrong.append(f"tag {tag} reaches a missing image or layer at {row_id}")
                break
            if depth and image["depth"] != depth - 1:
                state.wrong.append(f"image {image} has a child of depth {depth}")
            row_id, depth = image["parent_id"], image["depth"]


def _unheld(state: _State) -> None:
    leased = {(row["kind"], row["object_id"]) for row in state.rows.of("lease")}
    state.wrong += [
        f"nobody holds or was promised {table} {row}"
        for table, row in _loose(state.rows)
        if (table, row["id"]) not in leased
    ]
    state.wrong += [f"an empty promise: {row}" for row in state.rows.of("lease") if row["promises"] < 1]


def _loose(found: Rows) -> list[tuple[str, Row]]:
    """What has no holder; a manifest is also held by its subject."""
    held = {(row["repository_id"], row["digest"]) for row in found.of("manifest")}
    loose = [(table, row) for table in ("manifest", "image", "layer") for row in found.of(table) if not row["cnt"]]
    return [
        (table, row)
        for table, row in loose
        if table != "manifest" or (row["repository_id"], row["subject_digest"]) not in held
    ]


def _stored(found: Rows) -> dict[str, int]:
    return {
        layer_path(Digest.parse(row["digest"]), row["generation"]): row["size"]
        for row in found.of("layer")
        if not row["lost"]
    }


def _files(state: _State) -> None:
    """Every layer row has its file; every other file is known to the outbox or to an upload."""
    stored = _stored(state.rows)
    state.wrong += [
        f"{path} has {state.files.get(path)} bytes instead of {size}"
        for path, size in stored.items()
        if state.files.get(path) != size
    ]
    awaited = {row["path"] for row in state.rows.of("outbox")}
    awaited |= {
        layer_path(Digest.parse(row[told]), row["uuid"])
        for row in state.rows.of("upload")
        for told in ("digest", "expected")
        if row[told]
    }
    state.wrong += [f"no row knows {path}" for path in state.files if path not in stored and path not in awaited]


def _contents(registry: Registry, state: _State) -> None:
    for path in _stored(state.rows):
        if path in state.files:
            with registry.storage.open(path) as file:
                told = hashlib.sha256(file.read()).hexdigest()
            if f"/{told}." not in path:
                state.wrong.append(f"{path} holds other bytes")


def uploads_are_known(registry: Registry) -> None:
    """Files in the uploads area belong to an upload's row or to the outbox; holds unless a crash cut a body."""
    found = rows(registry)
    known = {upload_path(row["uuid"]) for row in found.of("upload")} | {row["path"] for row in found.of("outbox")}
    assert set(files(registry, "uploads")) <= known
