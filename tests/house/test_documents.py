"""The documents agree with each other and with what they describe."""

from __future__ import annotations

import ast
import re
from collections import Counter
from dataclasses import fields
from functools import cache
from itertools import pairwise

import pytest
from flask import Flask

from pier_registry import errors
from pier_registry.proxy import configuration
from pier_registry.settings import Settings, table
from tests.house.pages import PACKAGE, ROOT, Page, page, pages

_SETTING = re.compile(r"\bPIER_[A-Z0-9_]*[A-Z0-9]\b")
_METRIC = re.compile(r"\bpier_[a-z_]+\b")


def test_the_settings_page_holds_exactly_the_generated_table() -> None:
    lines = page("docs/settings.md").text.splitlines()
    assert "\n".join(line for line in lines if line.startswith("|")) == table()


@pytest.mark.parametrize("name", [one.name for one in pages()])
def test_every_setting_that_is_named_exists(name: str) -> None:
    known = {f"PIER_{field.name.upper()}" for field in fields(Settings)} | {"PIER_CONFIG", "PIER_CLUSTER"}
    assert set(_SETTING.findall(page(name).text)) <= known


def test_the_settings_file_in_the_manual_is_one(tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("settings") / "pier.yaml"
    (example,) = page("docs/settings.md").blocks("yaml")
    file.write_text(example)
    assert Settings.load({"PIER_CONFIG": str(file)}).trusted_proxies == ("10.0.0.0/8",)


@pytest.mark.parametrize("name", [one.name for one in pages()])
def test_every_link_within_the_tree_leads_somewhere(name: str) -> None:
    here = page(name)
    inner = [link for link in here.links() if "://" not in link]
    assert [link for link in inner if not _leads_somewhere(here, link)] == []


def _leads_somewhere(here: Page, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = (here.folder / path).resolve() if path else ROOT / here.name
    if not target.is_file():
        return False
    return not anchor or anchor in page(target.relative_to(ROOT).as_posix()).anchors()


@pytest.mark.parametrize("name", [one.name for one in pages()])
def test_no_page_says_a_long_line_twice(name: str) -> None:
    lines = Counter(line for line in page(name).prose.splitlines() if len(line) > 80)
    assert [line for line, count in lines.items() if count > 1] == []


def test_every_page_is_reached_from_the_readme() -> None:
    reached, waiting = set(), ["README.md"]
    while waiting:
        name = waiting.pop()
        if name in reached or not name.endswith(".md"):
            continue
        reached.add(name)
        here = page(name)
        waiting += [_name(here, link) for link in here.links() if "://" not in link]
    assert {one.name for one in pages()} - reached <= {"CHANGELOG.md", "SECURITY.md"}


def _name(here: Page, link: str) -> str:
    target = (here.folder / link.partition("#")[0]).resolve()
    return target.relative_to(ROOT).as_posix() if target != here.folder else here.name


def _refusals(name: str) -> list[list[str]]:
    """Rows of a manual's table of refusals: error, status, perhaps a code, text."""
    return [[*row[:-1], row[-1].strip("` ")] for row in page(name).rows() if hasattr(errors, row[0])]


_WORDED = sorted({(name, row[-1]) for name in ("docs/v1.md", "docs/v2.md") for row in _refusals(name)})


@pytest.mark.parametrize("name", ["docs/v1.md", "docs/v2.md"])
def test_the_refusals_of_a_protocol_have_the_statuses_of_their_errors(name: str) -> None:
    told = _refusals(name)
    assert len(told) > 30
    assert [row for row in told if getattr(errors, row[0]).status != int(row[1])] == []


def test_the_refusals_of_v2_have_the_codes_of_their_errors() -> None:
    assert [row for row in _refusals("docs/v2.md") if getattr(errors, row[0]).code != row[2]] == []


@pytest.mark.parametrize(("name", "text"), _WORDED)
def test_a_refusal_is_worded_as_in_the_code(name: str, text: str) -> None:
    parts = [part.strip() for part in text.split("…") if part.strip()]
    assert [part for part in parts if not any(part in constant for constant in _texts())] == [], name


@cache
def _texts() -> set[str]:
    """Every string of the package, each constant part of an f-string for itself."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in PACKAGE.rglob("*.py")]
    constants = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    return {node.value for node in constants if isinstance(node.value, str)}


def test_every_error_that_a_protocol_can_answer_is_in_its_manual() -> None:
    v1, v2 = ({row[0] for row in _refusals(name)} for name in ("docs/v1.md", "docs/v2.md"))
    only_v1 = {
        "NameReserved", "JsonInvalid", "ImageIdInvalid", "ImageUnknown", "ImageIncomplete", "ImageJsonInvalid",
        "ImageExists", "ImageTaken", "ChecksumAbsent", "ChecksumMissing", "ChecksumMismatch", "ChecksumSet",
        "LimitExceeded",
    }  # fmt: skip
    only_v2 = {
        "DigestInvalid", "ContentWrong", "LayerUnknown", "ManifestInvalid", "ManifestUnknown", "BlobsMissing",
        "UploadBusy", "UploadUnknown", "OffsetWrong",
    }  # fmt: skip
    of_no_request = {"SchemaMismatch", "Misconfigured"}
    assert _concrete() - of_no_request - only_v2 <= v1
    assert _concrete() - of_no_request - only_v1 <= v2


def _concrete() -> set[str]:
    classes = {
        value for value in vars(errors).values() if isinstance(value, type) and value.__module__ == errors.__name__
    }
    return {one.__name__ for one in classes if not one.__subclasses__()}


def test_the_manual_of_v2_tells_the_limits_that_are_set() -> None:
    row = re.compile(r"^\| [^|]+ \| `PIER_(\w+)` \(([\d,]+)(?: ([MG])iB)?\) \|", re.MULTILINE)
    told = {name.lower(): (number, unit) for name, number, unit in row.findall(page("docs/v2.md").text)}
    units = {"": 1, "M": 1 << 20, "G": 1 << 30}
    limits = {name: int(number.replace(",", "")) * units[unit] for name, (number, unit) in told.items()}
    assert len(limits) == 4
    assert limits == {name: getattr(Settings(), name) for name in limits}


def test_the_manual_tells_how_many_threads_uploads_may_take() -> None:
    text = page("docs/operate.md").text
    most, one, threads = map(int, re.findall(r"\((\d+) and (\d+) of (\d+)\)", text)[0])
    assert (threads, most, one) == (Settings().threads, threads * 3 // 4, threads * 5 // 8)


def test_the_manual_names_exactly_the_metrics_that_are_told(app: Flask) -> None:
    client = app.test_client()
    client.get("/v2/")
    told = client.get("/metrics", headers={"X-Pier-Private": "1"}).text
    series = {line.split("{")[0].split()[0] for line in told.splitlines() if not line.startswith("#")}
    shown = {re.sub("_(bucket|sum|count)$", "", name) for name in series}
    named = {name for span in page("docs/operate.md").spans() for name in _METRIC.findall(span)}
    assert named == shown


def test_the_manual_names_exactly_the_fields_of_the_access_log() -> None:
    template = (PACKAGE / "proxy" / "nginx.conf.j2").read_text(encoding="utf-8")
    logged = re.findall(r'"(\w+)":', template[template.index("log_format") : template.index("access_log /dev")])
    text = page("docs/operate.md").text
    table_of_fields = text[text.index("| field |") : text.index("Who deleted")]
    named = re.findall(
        r"`(\w+)`", "\n".join(line.split("|")[1] for line in table_of_fields.splitlines() if "|" in line)
    )
    assert sorted(named) == sorted(logged)


def test_the_manual_explains_every_kind_of_finding() -> None:
    source = (PACKAGE / "actions" / "fsck.py").read_text(encoding="utf-8")
    text = page("docs/operate.md").text
    told = re.findall(r"^\| `(\w+)` \|", text[text.index("| kind |") : text.index("## Backup")], re.MULTILINE)
    assert set(told) == set(re.findall(r'report\.add\("(\w+)"', source))


def test_the_manual_names_exactly_the_tables() -> None:
    source = (PACKAGE / "metadata" / "schema.py").read_text(encoding="utf-8")
    made = set(re.findall(r'^\w+ = (?:_table|Table)\(\s*"(\w+)"', source, re.MULTILINE))
    text = page("docs/layout.md").text
    rows = [line.split("|")[1] for line in text[text.index("| table |") :].splitlines() if line.startswith("| `")]
    assert set(re.findall(r"`(\w+)`", " ".join(rows))) == made | {"alembic_version"}


def test_the_sentences_of_the_front_door_match_the_registrys() -> None:
    by_name = {name: (status, sentence) for name, status, sentence in configuration.SENTENCES}
    assert by_name["login"] == (401, errors.Unauthorized().v1_text)
    assert by_name["image"] == (404, errors.ImageUnknown().v1_text)
    assert by_name["nothing"] == (404, errors.RouteUnknown().v1_text)


def test_each_dependency_is_argued_in_one_line() -> None:
    rows = page("docs/design/20261124-dependencies.md").rows()
    argued = [row[0] for row in rows if row[0] != "package"]
    wanted = [
        line.strip()
        for kind in ("registry", "operator", "development")
        for line in (ROOT / "requirements" / f"{kind}.in").read_text(encoding="utf-8").splitlines()
        if line.strip() and not line.startswith(("#", "-r"))
    ]
    assert argued == wanted


def test_headings_do_not_skip_a_level() -> None:
    for one in pages():
        levels = [len(marks) for marks in re.findall(r"^(#+) ", one.prose, re.MULTILINE)]
        assert levels[0] == 1, one.name
        assert all(after - before <= 1 for before, after in pairwise(levels)), one.name
