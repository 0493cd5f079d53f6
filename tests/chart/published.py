"""The schemas that Kubernetes publishes with each release, and manifests held against them, unknown fields too."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from tests.parts import cache

# The oldest that the chart takes, the one that the tests run, and the newest.
VERSIONS: Final = ("v1.29.6", "v1.34.4", "v1.37.2")
_MODULE: Final = "k8s.io/kubernetes"
_FILE: Final = "api/openapi-spec/swagger.json"
_FORMS: Final[dict[str, tuple[type, ...]]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}
# Strings by their schema, which the API server also takes as numbers.
_LOOSE: Final = ("io.k8s.apimachinery.pkg.util.intstr.IntOrString", "io.k8s.apimachinery.pkg.api.resource.Quantity")

Schema = dict[str, Any]


def make() -> None:
    """Fetch what is missing. Raises PartMissing without a Go toolchain."""
    for version in VERSIONS:
        _file(version)


def faults(manifest: Schema, version: str) -> list[str]:
    """What that release would not take, each with its path. Raises KeyError for a kind that it does not have."""
    definitions, kinds = _published(version)
    group, _, number = manifest["apiVersion"].rpartition("/")
    name = kinds[group, number, manifest["kind"]]
    return list(_faults(manifest, {"$ref": f"#/definitions/{name}"}, definitions, manifest["kind"]))


@functools.cache
def _published(version: str) -> tuple[Schema, dict[tuple[str, str, str], str]]:
    """Definitions by name, and the names of kinds."""
    definitions: Schema = json.loads(_file(version).read_bytes())["definitions"]
    kinds = {
        (kind["group"], kind["version"], kind["kind"]): name
        for name, schema in definitions.items()
        for kind in schema.get("x-kubernetes-group-version-kind", [])
    }
    return definitions, kinds


def _faults(value: Any, schema: Schema, definitions: Schema, path: str) -> Iterator[str]:
    reference = schema.get("$ref", "").removeprefix("#/definitions/")
    if reference in _LOOSE:
        if not isinstance(value, str | int | float) or isinstance(value, bool):
            yield f"{path}: {value!r} is no number and no text"
        return
    if reference:
        schema = definitions[reference]
    if "properties" in schema:
        yield from _object_faults(value, schema, definitions, path)
    elif isinstance(more := schema.get("additionalProperties"), dict) and isinstance(value, dict):
        for key, each in value.items():
            yield from _faults(each, more, definitions, f"{path}.{key}")
    elif schema.get("type") == "array" and isinstance(value, list):
        for number, each in enumerate(value):
            yield from _faults(each, schema["items"], definitions, f"{path}[{number}]")
    elif "type" in schema and not _is_of(value, schema["type"]):  # a schema without takes anything
        yield f"{path}: {value!r} is no {schema['type']}"


def _object_faults(value: Any, schema: Schema, definitions: Schema, path: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{path}: {value!r} is no object"
        return
    for key in sorted(set(schema.get("required", [])) - set(value)):
        yield f"{path}.{key} is missing"
    for key, each in value.items():
        if key in schema["properties"]:
            yield from _faults(each, schema["properties"][key], definitions, f"{path}.{key}")
        else:
            yield f"{path}.{key} is unknown"


def _is_of(value: Any, form: str) -> bool:
    if form == "object":
        return isinstance(value, dict)
    if form == "array":
        return isinstance(value, list)
    return isinstance(value, _FORMS[form]) and isinstance(value, bool) == (form == "boolean")


def _file(version: str) -> Path:
    return cache.made(f"kubernetes-schemas-{version}", functools.partial(_fetch, version)) / "swagger.json"


def _fetch(version: str, draft: Path) -> None:
    """Out of the module's archive; the rest of it is not kept."""
    modules = draft / "modules"
    go = cache.program("go")
    own = {"GOMODCACHE": str(modules), "GOFLAGS": "-modcacherw", "GOWORK": "off"}
    done = subprocess.run(
        [go, "mod", "download", "-json", f"{_MODULE}@{version}"],
        cwd=draft,
        env=os.environ | own,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    told = json.loads(done.stdout or "{}")
    assert done.returncode == 0, f"{told.get('Error', '')}{done.stderr}"
    with zipfile.ZipFile(told["Zip"]) as archive:
        (draft / "swagger.json").write_bytes(archive.read(f"{_MODULE}@{version}/{_FILE}"))
    shutil.rmtree(modules)
