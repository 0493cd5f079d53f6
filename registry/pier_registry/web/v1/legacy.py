"""The lists that the 2015 original added, in its shapes, with paging.

`GET /v1/allnamespaces` and `GET /v1/alltags?q=<namespace>`; `n` limits a page, `last` is where the one before ended.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlencode

from flask import Blueprint, Response, request

from pier_registry import actions, canonical
from pier_registry.actions.browse import TaggedImage
from pier_registry.web import paging
from pier_registry.web.context import caller, registry
from pier_registry.web.responses import as_json

_MOST: Final = 1000
_MISSING: Final = "null"


def register(room: Blueprint) -> None:
    room.get("/v1/allnamespaces")(all_namespaces)
    room.get("/v1/alltags")(all_tags)


def all_namespaces() -> Response:
    size = paging.number("n", _MOST, _MOST)
    found = actions.browse.namespaces(registry(), caller(), after=paging.last(), count=size + 1)
    shown = found[:size]
    results = [{"namespaces": name} for name in shown]
    return _page(results, {"last": shown[-1]} if shown and len(found) > size else None)


def all_tags() -> Response:
    """An unknown namespace has an empty list."""
    namespace = request.args.get("q", "")
    size = paging.number("n", _MOST, _MOST)
    repository, _, tag = paging.last().partition(":")
    found = actions.browse.tagged_images(
        registry(), caller(), namespace, after=(repository, tag), count=size + 1 if namespace else 0
    )
    shown = found[:size]
    more = {"q": namespace, "last": _full(shown[-1])} if shown and len(found) > size else None
    return _page([_line(one) for one in shown], more)


def _page(results: list[dict[str, Any]], more: dict[str, str] | None) -> Response:
    headers = {}
    if more:
        following = urlencode({"n": request.args.get("n", _MOST)} | more)
        headers["Link"] = f'<{request.path}?{following}>; rel="next"'
    return as_json({"num_results": len(results), "results": results}, headers=headers)


def _full(one: TaggedImage) -> str:
    return f"{one.tag.repository}:{one.tag.name}"


def _line(one: TaggedImage) -> dict[str, Any]:
    """`created`, `arch` and `os` of the tagged image itself; `Size` of its whole chain in bytes, as stored."""
    told = canonical.parse(one.json)
    return {
        "tag": _full(one),
        "id": one.tag.image_id,
        "created": told.get("created") or _MISSING,
        "Size": one.size,
        "arch": told.get("architecture") or _MISSING,
        "os": told.get("os") or _MISSING,
    }
