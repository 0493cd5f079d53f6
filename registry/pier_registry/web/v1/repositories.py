"""Repositories as the index of v1 knows them: opening and closing a push, image lists, properties, delete."""

from __future__ import annotations

import secrets
import string
from typing import Any, Final

from flask import Blueprint, Response

from pier_registry import actions, errors
from pier_registry.names import ImageId, RepositoryName, parse_image_id
from pier_registry.web import address
from pier_registry.web.bodies import json_value
from pier_registry.web.context import caller, registry
from pier_registry.web.responses import as_json

_BASE: Final = "/v1/repositories/<v1repository:name>"


def register(room: Blueprint) -> None:
    room.put(f"{_BASE}/")(open_push)
    room.delete(f"{_BASE}/", endpoint="delete_repository")(delete)
    room.delete(f"{_BASE}/tags", endpoint="delete_all_tags")(delete)
    room.put(f"{_BASE}/images")(close_push)
    room.get(f"{_BASE}/images", endpoint="repository_images")(images)
    room.delete(f"{_BASE}/images")(delete_images)
    room.put(f"{_BASE}/auth")(auth)
    room.get(f"{_BASE}/properties")(properties)
    room.put(f"{_BASE}/properties")(set_properties)


def open_push(name: RepositoryName) -> Response:
    listed = _image_list()
    tags = sum(1 for _, tagged in listed if tagged)
    actions.push_session.begin(registry(), caller(), name, {image_id for image_id, _ in listed}, tags)
    return as_json("", headers=_index_headers(name, "write"))


def close_push(name: RepositoryName) -> Response:
    _image_list()
    actions.push_session.end(registry(), caller(), name)
    return Response(status=204, headers=_index_headers(name, "write"))


def images(name: RepositoryName) -> Response:
    """Never echoes tags: "pull all" would fetch images of tags that are gone."""
    ids = actions.browse.image_ids(registry(), caller(), name)
    return as_json([{"id": image_id} for image_id in ids], headers=_index_headers(name, "read"))


def delete_images(name: RepositoryName) -> Response:
    """Part of the original's delete; it does nothing there either."""
    caller().require("delete-repository", name.full)
    return Response(status=204, headers=_index_headers(name, "delete"))


def auth(name: RepositoryName) -> Response:
    caller().require("push", name.full)
    return as_json("OK")


def delete(name: RepositoryName) -> Response:
    receipt = actions.delete.repository(registry(), caller(), name)
    return as_json(True, headers=receipt.headers())


def properties(name: RepositoryName) -> Response:
    return as_json({"access": actions.browse.access(registry(), caller(), name)})


def set_properties(name: RepositoryName) -> Response:
    body = json_value()
    access = body.get("access") if isinstance(body, dict) else None
    if access not in ("private", "public"):  # no set: it would ask a list for its hash
        raise errors.JsonInvalid("the body must be an object with access private or public", v1_text="Invalid data")
    actions.browse.set_access(registry(), caller(), name, access)
    return as_json(True)


def _image_list() -> list[tuple[ImageId, bool]]:
    """The body's images, each with whether a tag was announced for it."""
    body = json_value()
    if not isinstance(body, list):
        raise errors.JsonInvalid("the body must be a list of images", v1_text="Invalid data")
    return [_listed(entry) for entry in body]


def _listed(entry: Any) -> tuple[ImageId, bool]:
    name = entry.get("id") if isinstance(entry, dict) else None
    if not isinstance(name, str):
        raise errors.JsonInvalid("each image in the list needs its id", v1_text="Invalid data")
    try:
        return parse_image_id(name), bool(entry.get("Tag"))
    except errors.ImageIdInvalid:
        raise errors.JsonInvalid("an id in the list is not 64 (or 16) hex digits", v1_text="Invalid data") from None


def _index_headers(name: RepositoryName, access: str) -> dict[str, str]:
    """The token is a dummy that old clients insist on; nobody checks it."""
    signature = "".join(secrets.choice(string.ascii_uppercase + string.digits) for _ in range(16))
    token = f'Token signature={signature},repository="{name.full}",access={access}'
    return {"X-Docker-Endpoints": address.host(registry().settings), "X-Docker-Token": token, "WWW-Authenticate": token}
