"""Canonical JSON: one value has one spelling, whoever wrote it and however."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pier_registry import canonical

NUMBERS = st.from_regex(
    re.compile(r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?", re.ASCII), fullmatch=True
)
# Lone surrogates too; two halves that meet are one character, as in any JSON.
TEXT = st.text(st.characters(exclude_categories=()), max_size=12).map(lambda text: str(json.loads(json.dumps(text))))


class Written(str):
    """A number as it stands in the source."""

    __slots__ = ()


def values() -> st.SearchStrategy[Any]:
    leaves = st.one_of(st.none(), st.booleans(), TEXT, NUMBERS.map(Written))
    return st.recursive(leaves, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXT, inner, max_size=5))


def spelt(value: Any, draw: Any) -> Any:
    """The value as some writer would put it: blanks, the order of keys, and what is escaped, are a matter of taste."""
    gap = draw(st.sampled_from(("", " ", "\n\t", " \r\n ")))
    if isinstance(value, Written):
        return str(value)
    if isinstance(value, dict):
        items = draw(st.permutations(list(value.items())))
        told = [f"{_quoted(key, draw)}{gap}:{gap}{spelt(each, draw)}" for key, each in items]
        return "{" + gap + f"{gap},".join(told) + gap + "}"
    if isinstance(value, list):
        return "[" + gap + f",{gap}".join(spelt(each, draw) for each in value) + gap + "]"
    return _quoted(value, draw) if isinstance(value, str) else json.dumps(value)


def _quoted(text: str, draw: Any) -> str:
    """Lone surrogates can only be escaped."""
    plain = not re.search("[\ud800-\udfff]", text)
    return json.dumps(text, ensure_ascii=not plain or draw(st.booleans()))


@given(values(), st.data())
def test_equal_values_give_equal_bytes(value: Any, data: st.DataObject) -> None:
    one, other = (canonical.render(canonical.parse(spelt(value, data.draw).encode())) for _ in range(2))
    assert one == other


@given(values(), st.data())
def test_rendering_what_was_rendered_changes_nothing(value: Any, data: st.DataObject) -> None:
    once = canonical.render(canonical.parse(spelt(value, data.draw).encode()))
    assert canonical.render(canonical.parse(once)) == once


@given(values(), st.data())
def test_a_value_stays_what_it_was(value: Any, data: st.DataObject) -> None:
    text = spelt(value, data.draw)
    assert _read(canonical.render(canonical.parse(text.encode())).decode()) == _read(text)


def _read(text: str) -> Any:
    return json.loads(text, parse_int=Written, parse_float=Written)


@given(values(), st.data())
def test_what_is_rendered_is_small_and_sorted(value: Any, data: st.DataObject) -> None:
    rendered = canonical.render(canonical.parse(spelt(value, data.draw).encode())).decode()
    json.loads(rendered, parse_int=Written, parse_float=Written, object_pairs_hook=_in_order)
    assert not re.search(r"\s", re.sub(r'"(\\.|[^"\\])*"', "", rendered))


def _in_order(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Raises AssertionError for keys that are not, or that are there twice."""
    keys = [key for key, _ in pairs]
    assert keys == sorted(set(keys))
    return dict(pairs)


@given(st.dictionaries(TEXT, values(), min_size=1, max_size=4), values(), st.data())
def test_of_equal_keys_the_last_one_counts(value: dict[str, Any], older: Any, data: st.DataObject) -> None:
    key = data.draw(st.sampled_from(sorted(value)))
    rest = spelt(value, data.draw)
    twice = "{" + f"{_quoted(key, data.draw)}:{spelt(older, data.draw)}," + rest.lstrip()[1:]
    assert canonical.render(canonical.parse(twice.encode())) == canonical.render(canonical.parse(rest.encode()))


@given(st.binary(max_size=40))
def test_any_bytes_are_parsed_or_refused(text: bytes) -> None:
    try:
        value = canonical.parse(text)
    except ValueError:
        return
    canonical.parse(canonical.render(value))


@pytest.mark.parametrize("depth", [10, 300, 1_000, 100_000])
@pytest.mark.parametrize("brackets", ["[]", '{"a":}'])
def test_a_deep_nest_is_rendered_or_refused(depth: int, brackets: str) -> None:
    opening, closing = brackets[:-1], brackets[-1]
    text = (opening * depth + "0" + closing * depth).encode()
    try:
        assert canonical.render(canonical.parse(text)) == text
    except ValueError as refused:
        assert "deep" in str(refused)  # noqa: PT017  either is right, by the depth


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[1,]", b'{"a":}', b"01", b"1.", b"'a'", b"\xff", b'"\x01"', b"nul", b"1 2"]
)
def test_what_is_no_json_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        canonical.parse(text)


def test_numbers_are_told_from_text() -> None:
    assert canonical.render({"a": canonical.Number("1e400"), "b": "1e400"}) == b'{"a":1e400,"b":"1e400"}'
