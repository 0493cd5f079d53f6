"""The lines of docs/clients.md, as a user of a test's registry types them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from tests.house.pages import page

PAGE: Final = "docs/clients.md"
REGISTRY: Final = "registry.example.org:5443"
_SECTION = re.compile(r"^## (.+?)$(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Steps:
    """Shell lines of one client; the repository in them is `team/app`, the tag `1` (`1.0.0` of a chart)."""

    trust: str
    login: str
    push: str
    pull: str
    delete: str


def steps(client: str) -> Steps:
    """The five paragraphs of the client's first block. Raises KeyError for a client without a section."""
    return Steps(*_paragraphs(client, 0))


def attaching() -> tuple[str, str]:
    """How oras attaches something, and how it is found."""
    attach, discover = _paragraphs("oras", 1)
    return attach, discover


def addressed(lines: str, host: str, team: str) -> str:
    """The lines for the registry at `host` (`name:port`) and repository `<team>/app`."""
    for before in ("", "/v2"):
        lines = lines.replace(f"{REGISTRY}{before}/team", f"{host}{before}/{team}")
    return lines.replace(REGISTRY, host)


def _paragraphs(section: str, block: int) -> list[str]:
    sections = dict(_SECTION.findall(page(PAGE).text))
    blocks: list[str] = _BLOCK.findall(sections[section])
    return [_typed(paragraph) for paragraph in blocks[block].strip().split("\n\n")]


def _typed(paragraph: str) -> str:
    """Without prompts; a line without one is what a program printed."""
    joined = paragraph.replace("\\\n", " ")
    return "\n".join(line[2:] for line in joined.splitlines() if line.startswith(("$ ", "# ")))
