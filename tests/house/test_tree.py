"""What must not stand in any file of the tree."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

from tests.house.pages import ROOT

# Spelt so that this file does not hold them.
_HOSTS = ["py" + "pi.org", "python" + "hosted", "proxy.go" + "lang.org", "npm" + "js.org", "crates" + ".io"]
_PLACES = [r"(?<![\w.$}/-])/" + folder + "/" for folder in ("wo" + "rk", "ho" + "me")] + ["bash" + "_jobs"]
_WORDS = [
    r"\b" + word + r"\b"
    for word in (
        "cla" + "ude",
        "anth" + "ropic",
        "sub-?" + "agent",
        "language " + "model",
        "decis" + "ions? R" + r"\d+",
    )
] + ["decis" + r"ions\.md", "reference/v[12]" + "-", "the bri" + "ef"]


@cache
def _texts() -> dict[str, str]:
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    told = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stdout
    paths = [Path(name) for name in told.split("\0") if name and (ROOT / name).is_file()]
    return {str(path): (ROOT / path).read_text(encoding="utf-8", errors="replace") for path in paths}


def _holding(pattern: str) -> list[str]:
    wanted = re.compile(pattern, re.IGNORECASE)
    return [f"{name}: {found[0]}" for name, text in _texts().items() if (found := wanted.search(text))]


@pytest.mark.parametrize("host", _HOSTS)
def test_no_file_names_a_package_index(host: str) -> None:
    assert _holding(re.escape(host)) == []


@pytest.mark.parametrize("place", _PLACES)
def test_no_file_names_a_place_of_one_machine(place: str) -> None:
    assert _holding(place) == []


@pytest.mark.parametrize("word", _WORDS)
def test_no_file_speaks_of_how_it_came_to_be(word: str) -> None:
    assert _holding(word) == []


@pytest.mark.parametrize("kind", ["registry", "operator", "development"])
def test_every_requirement_is_pinned_and_hashed(kind: str) -> None:
    text = (ROOT / "requirements" / f"{kind}.txt").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert len(lines) > 10
    assert [
        line for line in lines if not re.match(r"[\w.-]+(\[[\w,-]+\])?==\S+.*--hash=sha256:[0-9a-f]{64}", line)
    ] == []


@pytest.mark.parametrize("kind", ["registry", "operator", "development"])
def test_every_named_requirement_is_pinned(kind: str) -> None:
    named = (ROOT / "requirements" / f"{kind}.in").read_text(encoding="utf-8").splitlines()
    pinned = (ROOT / "requirements" / f"{kind}.txt").read_text(encoding="utf-8")
    wanted = [line for line in named if line and not line.startswith(("#", "-r"))]
    assert [name for name in wanted if not re.search(rf"^{re.escape(name)}(\[|==)", pinned, re.MULTILINE)] == []


def test_the_licence_is_the_whole_one() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_no_file_ends_without_a_newline_or_with_blanks() -> None:
    ours = {name: text for name, text in _texts().items() if name.endswith((".py", ".md", ".sh", ".yaml", ".toml"))}
    assert [name for name, text in ours.items() if text and not text.endswith("\n")] == []
    assert [name for name, text in ours.items() if re.search(r"[ \t]$", text, re.MULTILINE)] == []


def test_no_test_is_skipped() -> None:
    marks = re.compile(r"pytest\.(mark\.)?(skip|xfail|importor" + r"skip)|@unittest\.skip")
    assert [name for name, text in _texts().items() if name.startswith("tests/") and marks.search(text)] == []
