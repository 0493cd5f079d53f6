"""`n` and `page` or `last` of a query, clamped to what one answer may hold."""

from __future__ import annotations

from flask import request

from pier_registry import errors
from pier_registry.names import DEFAULT_NAMESPACE


def number(name: str, default: int, most: int, least: int = 0) -> int:
    """Raises PageInvalid for anything but a whole number that is not negative."""
    text = request.args.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise errors.PageInvalid(name, text)
    return max(least, min(int(text), most))


def last() -> str:
    """Where the page before ended; "" for the first."""
    return request.args.get("last", "")


def last_repository() -> str:
    """As `last`, for a list of repositories: a listed short name stands for its full one."""
    name = last()
    return name if not name or "/" in name else f"{DEFAULT_NAMESPACE}/{name}"
