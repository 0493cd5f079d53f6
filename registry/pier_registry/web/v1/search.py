"""Search, the one command of today's docker that still speaks v1."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, Response, request

from pier_registry import actions
from pier_registry.web import paging
from pier_registry.web.context import caller, registry
from pier_registry.web.responses import as_json

_PAGE: Final = 25
_MOST: Final = 100
_ALL: Final = 10_000


def register(room: Blueprint) -> None:
    room.get("/v1/search")(search)


def search() -> Response:
    """Repositories whose name contains `q`, literally, in any case.

    Without `q` and `n` all of them, as scripts list them.
    """
    term = request.args.get("q", "")
    size = paging.number("n", _PAGE if term else _ALL, _MOST if "n" in request.args else _ALL, least=1)
    page = paging.number("page", 1, _ALL, least=1)
    found = actions.browse.repository_names(registry(), caller(), count=_ALL, containing=term.lower())
    shown = found[(page - 1) * size : page * size]
    return as_json(
        {
            "query": term,
            "num_results": len(found),
            "num_pages": -(-len(found) // size),
            "page": page,
            "page_size": size,
            "results": [{"name": name, "description": ""} for name in shown],
        }
    )
