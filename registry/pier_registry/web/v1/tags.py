"""v1 tags and what their pusher's agent told about itself."""

from __future__ import annotations

import re
from typing import Any, Final

from flask import Blueprint, Response, request

from pier_registry import actions, errors
from pier_registry.metadata.tags import Tag
from pier_registry.names import RepositoryName, TagName, parse_image_id, parse_tag
from pier_registry.web.bodies import json_value
from pier_registry.web.context import caller, registry
from pier_registry.web.responses import as_json

_BASE: Final = "/v1/repositories/<v1repository:name>"
_PAIR: Final = re.compile(r"([A-Za-z_-]+)/([^\s;()]+)", re.ASCII)
_KEPT: Final = {
    "docker": "docker_version",
    "go": "docker_go_version",
    "arch": "arch",
    "kernel": "kernel",
    "os": "os",
}
_LOWERED: Final = frozenset({"arch", "kernel", "os"})


def register(room: Blueprint) -> None:
    room.get(f"{_BASE}/tags", endpoint="tag_list")(listing)
    room.get(f"{_BASE}/tags/<tag:tag>", endpoint="tag")(get)
    room.put(f"{_BASE}/tags/<tag:tag>")(put)
    room.delete(f"{_BASE}/tags/<tag:tag>", endpoint="delete_tag")(delete)
    room.get(f"{_BASE}/json", endpoint="repository_json")(repository_json)
    room.get(f"{_BASE}/tags/<tag:tag>/json")(tag_json)


def listing(name: RepositoryName) -> Response:
    found = actions.browse.tag_list(registry(), caller(), name)
    return as_json({known.name: known.image_id for known in found if known.image_id})


def get(name: RepositoryName, tag: TagName) -> Response:
    known = actions.browse.tag(registry(), caller(), name, tag)
    if known.image_id is None:
        raise errors.TagUnknown(name.spelt, tag)
    return as_json(known.image_id)


def put(name: RepositoryName, tag: TagName) -> Response:
    body = _image_id_text()
    try:
        image_id = parse_image_id(body)
    except errors.ImageIdInvalid:
        raise errors.ImageUnknown from None
    receipt = actions.publish.tag(registry(), caller(), name, tag, image_id, _agent())
    return as_json(True, headers=receipt.headers())


def _image_id_text() -> str:
    """A tag's body is a JSON string, the image id."""
    try:
        body = json_value()
    except errors.JsonInvalid:
        body = None
    if not isinstance(body, str) or not body:
        raise errors.JsonInvalid("the body must be a JSON string, the image id", v1_text="Invalid data")
    return body


def delete(name: RepositoryName, tag: TagName) -> Response:
    receipt = actions.delete.tag(registry(), caller(), name, tag)
    return as_json(True, headers=receipt.headers())


def tag_json(name: RepositoryName, tag: TagName) -> Response:
    """Never 404: what is unknown is null."""
    try:
        return as_json(_described(actions.browse.tag(registry(), caller(), name, tag)))
    except errors.TagUnknown:
        return as_json(_described(None))


def repository_json(name: RepositoryName) -> Response:
    return tag_json(name, parse_tag("latest"))


def _described(known: Tag | None) -> dict[str, Any]:
    """What the pusher's agent told, and nothing that it did not; defaults where there is no tag."""
    if known:
        return {"last_update": known.updated // 1000, **known.agent}
    return {
        "last_update": None,
        "docker_version": None,
        "docker_go_version": None,
        "arch": "amd64",
        "os": "linux",
        "kernel": None,
    }


def _agent() -> dict[str, str]:
    """The name/value pairs of docker's User-Agent that the original kept."""
    pairs = _PAIR.findall(request.headers.get("User-Agent", "")[:1000])
    return {_KEPT[name]: (value.lower() if name in _LOWERED else value)[:100] for name, value in pairs if name in _KEPT}
