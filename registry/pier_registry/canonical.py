"""JSON that always comes out the same: keys sorted at every level, no blanks, numbers as they were written.

Digests of what is made here are public, so this may never change; golden files in the tests hold it still.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

_SURROGATES: Final = re.compile("[\ud800-\udfff]")


_DEEPEST: Final = 200  # levels; the same on every stack


class Number(str):
    """A number's source text: a float would round it, and print it differently."""

    __slots__ = ()


def parse(text: bytes) -> Any:
    """Numbers become `Number`; of equal keys the last one counts; NaN and its kin become null. Raises ValueError."""
    try:
        return json.loads(text, parse_float=Number, parse_int=Number, parse_constant=lambda _: None)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def render(value: Any) -> bytes:
    """UTF-8 without a trailing newline; a lone surrogate stays escaped. Raises ValueError for too deep a nest."""
    text = _text(value, _DEEPEST)
    return _SURROGATES.sub(lambda lone: f"\\u{ord(lone[0]):04x}", text).encode()


def _text(value: Any, deeper: int) -> str:
    if not deeper:
        raise ValueError("nested too deeply")
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{_string(key)}:{_text(value[key], deeper - 1)}" for key in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(_text(each, deeper - 1) for each in value) + "]"
    return _string(value)


def _string(value: Any) -> str:
    """Also true, false, null and our own whole numbers."""
    return json.dumps(value, ensure_ascii=False)
