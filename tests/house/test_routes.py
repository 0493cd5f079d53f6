"""The addresses in the manuals are those that the application answers."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from flask import Flask
from werkzeug.exceptions import MethodNotAllowed, NotFound
from werkzeug.routing import Rule

from tests.house.pages import PACKAGE, page

_METHODS = frozenset({"GET", "PUT", "POST", "PATCH", "DELETE"})
_REQUEST = re.compile(rf"`({'|'.join(sorted(_METHODS))}) (/[^`?\s]*)[^`]*`")
_UPLOAD = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff"
_EXAMPLES = {
    "R": "team/app", "T": "latest", "I": "0" * 64, "D": "sha256:" + "0" * 64, "U": _UPLOAD, "NAME": "alice",
}  # fmt: skip
_ADDRESS = re.compile(r'(?:https?://[\w.:]+(/[^\s"]*)|(\$(?:v1|v2|api|upload)\b[^\s"]*))')


def _told(name: str) -> set[tuple[str, str]]:
    """Method and path of each first cell of a table."""
    requests = [_REQUEST.match(row[0]) for row in page(name).rows()]
    return {(found[1], found[2]) for found in requests if found}


def _filled(path: str) -> str:
    return "/".join(_EXAMPLES.get(part, part) for part in path.split("/"))


def _endpoint(app: Flask, method: str, path: str) -> str:
    endpoint, _ = app.url_map.bind("localhost").match(_filled(path), method=method)
    return str(endpoint)


def _left_out() -> set[tuple[str, str]]:
    text = page("docs/v1.md").text
    section = text[text.index("## What is left out on purpose") :]
    return {(method, path) for method, path in _REQUEST.findall(section) if f"| `{method} {path}` | 404" in section}


def _rules(app: Flask, room: str) -> list[tuple[str, Rule]]:
    rules = [rule for rule in app.url_map.iter_rules() if rule.endpoint.startswith(f"{room}.")]
    return [(method, rule) for rule in rules for method in sorted((rule.methods or set()) & _METHODS)]


@pytest.mark.parametrize(("room", "name"), [("v1", "docs/v1.md"), ("v2", "docs/v2.md"), ("api", "docs/api.md")])
def test_a_manual_tells_exactly_the_routes_of_its_room(app: Flask, room: str, name: str) -> None:
    told = {(method, _endpoint(app, method, path)) for method, path in _told(name) - _left_out()}
    assert told == {(method, rule.endpoint) for method, rule in _rules(app, room)}


def test_what_is_left_out_is_not_there(app: Flask) -> None:
    left_out = _left_out()
    assert len(left_out) == 6
    for method, path in left_out:
        with pytest.raises(NotFound):
            _endpoint(app, method, path)


@pytest.mark.parametrize(
    "name", ["README.md", "docs/use.md", "docs/operate.md", "docs/api.md", "docs/v2.md", "docs/clients.md"]
)
def test_every_address_that_a_page_calls_exists(app: Flask, name: str) -> None:
    for method, path in _calls(name):
        try:
            _endpoint(app, method, path)
        except (NotFound, MethodNotAllowed) as wrong:
            raise AssertionError(f"{method} {path}") from wrong


def _calls(name: str) -> list[tuple[str, str]]:
    """Method and path of each curl of a page."""
    blocks = [block for language in ("sh", "console") for block in page(name).blocks(language)]
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    upload = f"/v2/team/app/blobs/uploads/{_UPLOAD}"
    variables = {
        "$v1": "/v1", "$v2": "/v2", "$api": "/api", "$upload": upload, "$id": "0" * 64, "$digest": _EXAMPLES["D"],
        "$(sum": _EXAMPLES["D"],
    }  # fmt: skip
    calls = []
    for line in lines:
        if "curl " not in line:
            continue
        address = _ADDRESS.search(line)
        assert address, line
        path = (address[1] or address[2]).partition("?")[0].replace("%2F", "/").rstrip(")")
        for variable, value in variables.items():
            path = path.replace(variable, value)
        put = "PUT" if " -T " in line else "GET"
        method = re.search(r"-X (\w+)", line)
        calls.append((method[1] if method else put, path))
    assert calls
    return calls


def _description() -> dict[str, Any]:
    text = (PACKAGE / "web" / "api" / "openapi.yaml").read_text(encoding="utf-8")
    described: dict[str, Any] = yaml.safe_load(text)
    return described


def test_the_description_has_exactly_the_routes_of_the_api(app: Flask) -> None:
    names = {"repository:name": "repository", "tag:tag": "tag", "digest:digest": "digest"}

    def spelt(rule: Rule) -> str:
        return re.sub(r"<([^>]+)>", lambda found: "{" + names[found[1]] + "}", rule.rule)

    described = {
        (method.upper(), path)
        for path, item in _description()["paths"].items()
        for method in item
        if method.upper() in _METHODS
    }
    assert described == {(method, spelt(rule)) for method, rule in _rules(app, "api")}


def test_every_operation_of_the_description_has_a_name_of_its_own() -> None:
    names = [
        operation["operationId"]
        for item in _description()["paths"].values()
        for method, operation in item.items()
        if method.upper() in _METHODS
    ]
    assert len(names) == len(set(names)) > 10
