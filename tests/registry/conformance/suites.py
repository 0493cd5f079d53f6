"""The two generations of OCI's conformance suite, run as programs against a registry, and what their reports say."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree

import yaml

from tests.parts.tools import tool

_TITLES: Final = ("[It] OCI Distribution Conformance Tests ", "OCI Conformance Test/")
_MOUNT: Final = "Push Cross-Repository Blob Mount Cross-mounting"
# Each has a twin for registries that choose otherwise; of every two, a run skips one.
CHOSEN_OTHERWISE: Final = frozenset(
    {
        "Pull Setup Get tag name from environment",
        "Content Discovery Setup Populate registry with test tags (no push)",
        f"{_MOUNT} of nonexistent blob should yield session id",
        f"{_MOUNT} without from, and automatic content discovery disabled should return a 202",
    }
)
# The suite that can be had is from before the release; these came to be allowed in it. Status answered, by case.
ALLOWED_SINCE: Final = {
    # What only a deleted manifest held has gone with it: its referrers, its blobs, and an empty repository.
    "Content Discovery Teardown References teardown": 404,
    "Content Management Manifest delete GET request to tags list should reflect manifest deletion": 404,
    "Content Management Blob delete DELETE request to blob URL should yield 202 response": 404,
}
_WORKFLOWS: Final = ("PULL", "PUSH", "CONTENT_DISCOVERY", "CONTENT_MANAGEMENT")


@dataclass(frozen=True, slots=True)
class Target:
    """A registry and somebody who may push to it. `host` is `name:port`; `ca` signed its certificate."""

    host: str
    ca: Path
    user: str
    password: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a suite found: names of its cases, and what it said about each that failed."""

    exit_code: int
    passed: tuple[str, ...]
    skipped: frozenset[str]
    failed: Mapping[str, str]
    printed: str

    @property
    def complaints(self) -> str:
        return "\n".join(f"{name}: {said}" for name, said in self.failed.items())

    def statuses_refused(self) -> dict[str, int]:
        """The status that each failed case got and had not expected; 0 where a case complains of something else."""
        found = {name: re.match(r"Expected\s+<int>: (\d{3})\n", said) for name, said in self.failed.items()}
        return {name: int(match[1]) if match else 0 for name, match in found.items()}


def run_release(target: Target, reports: Path) -> Outcome:
    """The suite of distribution-spec 1.1, all four workflows; leaves `junit.xml` and `report.html` in `reports`."""
    workflows = {f"OCI_TEST_{name}": "1" for name in _WORKFLOWS}
    return _run(
        "conformance-1.1",
        target,
        reports,
        **workflows,
        OCI_ROOT_URL=f"https://{target.host}",
        OCI_NAMESPACE="release/one",
        OCI_CROSSMOUNT_NAMESPACE="release/two",
        OCI_AUTOMATIC_CROSSMOUNT="1",
        OCI_DELETE_MANIFEST_BEFORE_BLOBS="0",
        OCI_REPORT_DIR=str(reports),
    )


def run_head(target: Target, reports: Path) -> Outcome:
    """The suite of the coming version with all that is in development; also leaves `results.yaml` in `reports`."""
    return _run(
        "conformance-head",
        target,
        reports,
        OCI_VERSION="dev",
        OCI_REGISTRY=target.host,
        OCI_REPO1="head/one",
        OCI_REPO2="head/two",
        OCI_RESULTS_DIR=str(reports),
    )


def statuses(reports: Path) -> dict[str, str]:
    """`Pass`, `Skip`, `Disabled`, `FAIL` or `Error` for each part of the API and each kind of data, by name."""
    told: dict[str, Any] = yaml.safe_load((reports / "results.yaml").read_text())
    return {**told["apis"], **told["data"]}


def _run(suite: str, target: Target, reports: Path, **settings: str) -> Outcome:
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("OCI_")}
    login = {"OCI_USERNAME": target.user, "OCI_PASSWORD": target.password, "SSL_CERT_FILE": str(target.ca)}
    done = subprocess.run(
        [tool(suite)],
        env={**inherited, **login, **settings},
        cwd=reports,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    printed = f"{done.stdout}{done.stderr}"
    (reports / "printed.txt").write_text(printed)
    if not (reports / "junit.xml").exists():
        raise AssertionError(f"{suite} wrote no report, exit {done.returncode}:\n{printed}")
    return _read(reports / "junit.xml", done.returncode, printed)


def _read(report: Path, exit_code: int, printed: str) -> Outcome:
    cases = list(ElementTree.parse(report).iter("testcase"))
    passed = tuple(_name(case) for case in cases if case.get("status") == "passed")
    skipped = frozenset(_name(case) for case in cases if case.get("status") == "skipped")
    failed = {_name(case): _complaint(case) for case in cases if case.get("status") not in {"passed", "skipped"}}
    return Outcome(exit_code, passed, skipped, failed, printed)


def _name(case: ElementTree.Element) -> str:
    name = case.attrib["name"]
    for title in _TITLES:
        name = name.removeprefix(title)
    return name


def _complaint(case: ElementTree.Element) -> str:
    """The one puts it into an element `failure`, the other into its output."""
    failure = case.find("failure")
    return failure.get("message", "") if failure is not None else case.findtext("system-out", "")
