"""The JSON API under /api/, described by /api/openapi.json."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml
from flask import Blueprint, Response

from pier_registry import actions
from pier_registry.metadata.tags import Tag
from pier_registry.names import Digest, RepositoryName, TagName
from pier_registry.web import gate, paging
from pier_registry.web.context import caller, registry
from pier_registry.web.responses import as_json

_PAGE: Final = 100
_MOST: Final = 1000
_REPOSITORY: Final = "/api/repositories/<repository:name>"


def blueprint() -> Blueprint:
    room = Blueprint("api", __name__)
    room.get("/api/openapi.json")(openapi)
    room.get("/api/usage")(usage)
    room.get("/api/repositories")(repositories)
    room.get(_REPOSITORY)(repository)
    room.delete(_REPOSITORY)(delete_repository)
    room.get(f"{_REPOSITORY}/reclaim")(preview_repository)
    room.get(f"{_REPOSITORY}/tags")(tags)
    room.get(f"{_REPOSITORY}/tags/<tag:tag>")(one_tag)
    room.delete(f"{_REPOSITORY}/tags/<tag:tag>")(delete_tag)
    room.get(f"{_REPOSITORY}/tags/<tag:tag>/reclaim")(preview_tag)
    room.get("/api/layers/<digest:digest>")(layer)
    return room


@cache
def _description() -> Any:
    return yaml.safe_load(Path(__file__).with_name("openapi.yaml").read_text(encoding="utf-8"))


def openapi() -> Response:
    return as_json(_description())


def usage() -> Response:
    """Sums over all repositories, so they are for those who may see all of them."""
    gate.require("pull", None)
    return as_json(asdict(actions.inspect.totals(registry())))


def repositories() -> Response:
    size = paging.number("n", _PAGE, _MOST)
    found = actions.browse.repository_names(registry(), caller(), after=paging.last_repository(), count=size + 1)
    names = [RepositoryName(full, full).short for full in found[:size]]
    return as_json({"repositories": names} | _next(names, len(found) > size))


def repository(name: RepositoryName) -> Response:
    found = actions.browse.tag_list(registry(), caller(), name)
    access = actions.browse.access(registry(), caller(), name)
    return as_json({"repository": name.short, "access": access, "tags": len(found)})


def tags(name: RepositoryName) -> Response:
    size = paging.number("n", _PAGE, _MOST)
    found = actions.browse.tag_list(registry(), caller(), name, after=paging.last(), count=size + 1)
    shown = [_tag(known) for known in found[:size]]
    following = _next([known["tag"] for known in shown], len(found) > size)
    return as_json({"repository": name.short, "tags": shown} | following)


def one_tag(name: RepositoryName, tag: TagName) -> Response:
    return as_json({"repository": name.short} | _tag(actions.browse.tag(registry(), caller(), name, tag)))


def delete_tag(name: RepositoryName, tag: TagName) -> Response:
    receipt = actions.delete.tag(registry(), caller(), name, tag, explain=True)
    return as_json(receipt.as_json(), headers=receipt.headers())


def preview_tag(name: RepositoryName, tag: TagName) -> Response:
    return as_json(actions.delete.preview_tag(registry(), caller(), name, tag).as_json())


def delete_repository(name: RepositoryName) -> Response:
    receipt = actions.delete.repository(registry(), caller(), name)
    return as_json(receipt.as_json(), headers=receipt.headers())


def preview_repository(name: RepositoryName) -> Response:
    return as_json(actions.delete.preview_repository(registry(), caller(), name).as_json())


def layer(digest: Digest) -> Response:
    return as_json(asdict(actions.inspect.layer(registry(), caller(), digest)))


def _tag(known: Tag) -> dict[str, Any]:
    updated = datetime.fromtimestamp(known.updated / 1000, UTC).isoformat()
    return {"tag": known.name, "image": known.image_id, "digest": known.digest, "updated": updated}


def _next(names: list[Any], more: bool) -> dict[str, Any]:
    return {"next": names[-1] if names and more else None}
