"""Commands that a manual's console blocks show, each whole, however many lines it has."""

from __future__ import annotations

import re

from tests.house.pages import page


def commands(name: str) -> list[str]:
    """All of a page."""
    return [line for block in page(name).blocks("console") for line in _of(block)]


def block(name: str, about: str) -> list[str]:
    """Those of the block that has `about` in it."""
    (found,) = [each for each in page(name).blocks("console") if about in each]
    return _of(found)


def command(name: str, about: str) -> str:
    """The only one that has `about` in it."""
    (found,) = [line for line in commands(name) if about in line]
    return found


def _of(text: str) -> list[str]:
    return [part for part in re.split(r"^\$ ", text, flags=re.MULTILINE) if part.strip()]
