"""Catalog and tags, page by page; the address of the next page is in the Link header."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote, urlencode

from flask import Blueprint, Response, request

from pier_registry import actions
from pier_registry.names import RepositoryName
from pier_registry.web import paging
from pier_registry.web.context import caller, registry
from pier_registry.web.responses import as_json

_PAGE: Final = 1000
_MOST: Final = 10_000


def register(room: Blueprint) -> None:
    room.get("/v2/_catalog")(catalog)
    room.get("/v2/_oci/ext/discover")(extensions)
    room.get("/v2/<repository:name>/tags/list", endpoint="tag_list")(tags)


def catalog() -> Response:
    """Not in the OCI specification, but every registry has it and every browser of registries asks for it."""
    size = paging.number("n", _PAGE, _MOST)
    found = actions.browse.repository_names(registry(), caller(), after=paging.last_repository(), count=size + 1)
    names = [RepositoryName(full, full).short for full in found[:size]]
    return as_json({"repositories": names}, headers=_link(names, size, len(found) > size))


def tags(name: RepositoryName) -> Response:
    size = paging.number("n", _PAGE, _MOST)
    found = actions.browse.manifest_tags(registry(), caller(), name, after=paging.last(), count=size + 1)
    shown = found[:size]
    return as_json({"name": name.spelt, "tags": shown}, headers=_link(shown, size, len(found) > size))


def extensions() -> Response:
    return as_json({"extensions": []})


def _link(shown: list[Any], size: int, more: bool) -> dict[str, str]:
    if not (shown and more):
        return {}
    query = urlencode({"n": size, "last": shown[-1]})
    return {"Link": f'<{quote(request.path)}?{query}>; rel="next"'}
