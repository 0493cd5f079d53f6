"""Write what follows from charts/pier/values.schema.yaml and crds/: `python -m charts.generate`.

values.yaml, values.schema.json, the table in the chart's README.md, the chart's copy of the API, and its dashboard.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from charts import dashboard

ROOT: Final = Path(__file__).resolve().parents[1]
CHART: Final = ROOT / "charts" / "pier"
API: Final = ROOT / "crds" / "pierregistry.yaml"

_BEGIN: Final = "<!-- values -->\n"
_END: Final = "<!-- end of values -->\n"

Schema = dict[str, Any]


def files() -> dict[Path, str]:
    """Every generated file, as it has to be."""
    source: Schema = yaml.safe_load((CHART / "values.schema.yaml").read_text(encoding="utf-8"))
    return {
        CHART / "values.yaml": values(source),
        CHART / "values.schema.json": json.dumps(strict(source), indent=2) + "\n",
        CHART / "README.md": _readme((CHART / "README.md").read_text(encoding="utf-8"), source),
        CHART / "files" / API.name: API.read_text(encoding="utf-8"),
        CHART / "files" / "dashboard.json": dashboard.text(),
    }


def strict(schema: Schema) -> Schema:
    """As Helm reads it: nothing is allowed that is not named, and what only documents is gone."""
    head = {"$schema": "http://json-schema.org/draft-07/schema#", "title": "Values of the chart pier"}
    # Helm gives this to every chart that is a part of another one.
    shared = {"global": {"type": "object"}}
    closed = _closed(schema)
    return head | closed | {"properties": closed["properties"] | shared}


def _closed(schema: Schema) -> Schema:
    kept = {key: value for key, value in schema.items() if key not in {"default", "examples"}}
    if "items" in kept:
        kept["items"] = _closed(kept["items"])
    if "properties" in kept:
        kept["properties"] = {name: _closed(each) for name, each in kept["properties"].items()}
        kept["additionalProperties"] = False
    return kept


def values(schema: Schema) -> str:
    """The defaults, each below its description."""
    head = "# Generated from values.schema.yaml. What can be set, with what it is when nothing is set.\n"
    return head + "".join(f"\n{_value(name, each, 0)}" for name, each in schema["properties"].items())


def _value(name: str, schema: Schema, depth: int) -> str:
    inner = schema.get("properties", {})
    if inner and "default" not in schema:
        body = f"{name}:\n" + "".join(_value(key, each, depth + 1) for key, each in inner.items())
    else:
        body = yaml.safe_dump({name: schema["default"]}, sort_keys=False, width=110)
    return (
        _comment(schema["description"]) + body
        if depth == 0
        else textwrap.indent(_comment(schema["description"]) + body, "  ")
    )


def _comment(text: str) -> str:
    return "".join(f"# {line}\n" for line in textwrap.wrap(text, 108))


def leaves(schema: Schema, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Schema]]:
    """What can be set, by its path."""
    for name, each in schema["properties"].items():
        if "properties" in each and "default" not in each:
            yield from leaves(each, (*path, name))
        else:
            yield (*path, name), each


def table(schema: Schema) -> str:
    """The leaves in Markdown."""
    rows = ["| value | default | what it does |", "|---|---|---|"]
    for path, leaf in leaves(schema):
        default = json.dumps(leaf["default"])
        rows.append(f"| `{'.'.join(path)}` | `{default}` | {leaf['description']} |")
    return "\n".join(rows) + "\n"


def _readme(text: str, schema: Schema) -> str:
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}\n{table(schema)}\n{_END}{after}"


def main() -> None:
    for path, text in files().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
