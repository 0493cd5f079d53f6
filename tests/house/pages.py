"""The documents as what can be checked: pages, their links, code and shell blocks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
PACKAGE: Final = ROOT / "registry" / "pier_registry"

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_PROMPT = re.compile(r"^[$#] ")
_HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Page:
    """A Markdown file; `name` is its path below the root."""

    name: str
    text: str

    @property
    def folder(self) -> Path:
        return (ROOT / self.name).parent

    @property
    def prose(self) -> str:
        """The text without its fenced blocks."""
        return _FENCE.sub("", self.text)

    def blocks(self, language: str) -> list[str]:
        return [body for kind, body in _FENCE.findall(self.text) if kind == language]

    def links(self) -> list[str]:
        return _LINK.findall(self.prose)

    def spans(self) -> list[str]:
        """Inline code."""
        return _SPAN.findall(self.prose)

    def anchors(self) -> set[str]:
        """What a link may name behind `#`: headings as they are spelt in addresses."""
        return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in _HEADING.findall(self.prose)}

    def code(self) -> Iterator[str]:
        """Inline code, and the lines of shell blocks without their prompts."""
        yield from self.spans()
        for language in ("sh", "console", "ini"):
            for block in self.blocks(language):
                yield from (_PROMPT.sub("", line) for line in block.replace("\\\n", " ").splitlines())

    def rows(self) -> list[list[str]]:
        """Cells of all tables, without the rules below their heads."""
        lines = [line for line in self.prose.splitlines() if line.startswith("|")]
        rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))] for line in lines]
        return [row for row in rows if not set("".join(row)) <= set("-: ")]


@cache
def pages() -> tuple[Page, ...]:
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "charts").rglob("*.md")]
    return tuple(Page(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")) for path in sorted(found))


def page(name: str) -> Page:
    return next(one for one in pages() if one.name == name)
