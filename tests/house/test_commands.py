"""Every command that the documents show is a real one, with real options."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import PurePosixPath

import click
import pytest

from pier_registry.cli import pier
from tests.house.pages import ROOT, Page, page, pages

_BETWEEN = re.compile(r"\|\|?|&&|;|\$\(|\)")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=\S*")


def _commands(of: Page) -> list[list[str]]:
    """The words behind each `pier` in code, however it is reached."""
    found = []
    for line in of.code():
        for piece in _BETWEEN.split(line.removeprefix("ExecStart=")):
            words = _words(re.sub(r"\[:TAG\]|[\[\]]", "", piece))
            if len(words) > 1 and PurePosixPath(words[0]).name == "pier" and not words[0].endswith("/"):
                found.append(words[1:])
    return found


def _words(piece: str) -> list[str]:
    try:
        words = shlex.split(piece, comments=True)
    except ValueError:
        return []
    while words and _ASSIGNMENT.fullmatch(words[0]):
        words.pop(0)
    return words


def test_the_documents_show_commands() -> None:
    assert ["delete", "library/app:1", "--preview"] in _commands(page("README.md"))
    assert sum(len(_commands(one)) for one in pages()) > 30


@pytest.mark.parametrize("name", [one.name for one in pages() if _commands(one)])
def test_every_command_takes_what_it_is_shown_with(name: str) -> None:
    for words in _commands(page(name)):
        _parse(pier, words)


def _parse(command: click.Command, words: list[str]) -> None:
    """Raises a UsageError for an option that is none, AssertionError for a verb that is none."""
    if isinstance(command, click.Group) and words and not words[0].startswith("-"):
        verb = command.get_command(click.Context(command), words[0])
        assert verb, f"{command.name} has no verb {words[0]}"
        _parse(verb, words[1:])
        return
    command.make_parser(click.Context(command, parent=click.Context(pier, **pier.context_settings))).parse_args(
        list(words)
    )


def test_a_wrong_option_is_found() -> None:
    with pytest.raises(click.NoSuchOption):
        _parse(pier, ["delete", "app:1", "--purge"])


def test_a_wrong_verb_is_found() -> None:
    with pytest.raises(AssertionError, match="no verb"):
        _parse(pier, ["users", "rename"])


def test_every_verb_is_shown_somewhere() -> None:
    shown = {words[0] for one in pages() for words in _commands(one)}
    assert set(pier.list_commands(click.Context(pier))) <= shown


def test_make_help_tells_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    told = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stdout
    assert set(re.findall(r"^  make ([a-z-]+) +\S", told, re.MULTILINE)) == targets


def test_every_make_target_that_is_shown_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    shown = {word for one in pages() for line in one.code() for word in re.findall(r"^make ([a-z-]+)$", line)}
    assert {"run", "check", "test", "help"} <= shown <= targets
