"""The chart as helm renders it. `python -m tests.chart.rendering` writes the golden files anew."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from charts.generate import CHART
from tests.parts.tools import tool

GOLDEN: Final = Path(__file__).with_name("golden")
NAMESPACE: Final = "pier-system"
KUBERNETES: Final = "1.34.4"

Values = Mapping[str, Any]
Manifest = dict[str, Any]


class Refused(Exception):
    """What helm says against the values."""


def helm(*arguments: str, environment: Mapping[str, str] = os.environ, values: Values | None = None) -> str:
    """Standard output. Raises Refused with standard error."""
    with tempfile.TemporaryDirectory() as home:
        own = {f"HELM_{name}_HOME": f"{home}/{name}" for name in ("CACHE", "CONFIG", "DATA")}
        if values is not None:
            Path(home, "values.yaml").write_text(yaml.safe_dump(dict(values)))
            arguments = (*arguments, f"--values={home}/values.yaml")
        done = subprocess.run(
            [str(tool("helm")), *arguments],
            env={**environment, **own},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    if done.returncode:
        raise Refused(done.stderr)
    return done.stdout


def rendered(values: Values | None = None, *options: str, release: str = "pier") -> str:
    given = ("--namespace", NAMESPACE, "--kube-version", KUBERNETES, *options)
    return helm("template", release, str(CHART), *given, values=values or {})


def manifests(text: str) -> list[Manifest]:
    return [each for each in yaml.safe_load_all(text) if each]


def of_kind(text: str, kind: str) -> list[Manifest]:
    return [each for each in manifests(text) if each["kind"] == kind]


def operator(text: str) -> Manifest:
    """The pod of the operator's Deployment."""
    (deployment,) = of_kind(text, "Deployment")
    pod: Manifest = deployment["spec"]["template"]
    return pod


def settings(text: str) -> dict[str, str]:
    """Variables of the operator that have a plain value."""
    (container,) = operator(text)["spec"]["containers"]
    return {each["name"]: each["value"] for each in container["env"] if "value" in each}


def samples() -> dict[str, Values]:
    """Values for a test, by name."""
    found = sorted((CHART / "ci").glob("*-values.yaml"))
    return {path.name.removesuffix("-values.yaml"): yaml.safe_load(path.read_text()) or {} for path in found}


def golden(values: Values) -> str:
    """What the chart renders, less the API, which is compared with its source elsewhere."""
    return rendered({**values, "crds": {"enabled": False}})


def main() -> None:
    for name, values in samples().items():
        (GOLDEN / f"{name}.yaml").write_text(golden(values))


if __name__ == "__main__":
    main()
