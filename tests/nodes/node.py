"""A node's folders, and the Secret of claims as a kubelet mounts it."""

from __future__ import annotations

import itertools
import os
import shutil
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pier_operator.claim import COMPLETE, TRUSTED, Claim, Verdict
from pier_operator.nodes import pulling
from pier_operator.nodes.agent import Agent
from pier_operator.nodes.files import Files, Place

OWNER: Final = "pier-system/pier-operator-nodes"
ALLOWED: Final = ("registry.example.org", "*.team.example.org")
_NUMBERS: Final = itertools.count(1)


def trusted(claim: Claim) -> Verdict:
    """Of a registry that is always there."""
    return Verdict(claim.mark, TRUSTED)


@dataclass(slots=True)
class Node:
    """`containerd` and `docker` are the folders of its runtimes. Its agents ask for real, unless `ask` is given."""

    home: Path
    containerd: Path = field(init=False)
    docker: Path = field(init=False)
    claims: Path = field(init=False)

    def __post_init__(self) -> None:
        self.containerd = self.home / "containerd" / "certs.d"
        self.docker = self.home / "docker" / "certs.d"
        self.claims = self.home / "claims"
        for folder in (self.containerd, self.docker, self.claims):
            folder.mkdir(parents=True, exist_ok=True)

    def agent(
        self,
        ask: Callable[[Claim], Verdict] = pulling.verdict,
        allowed: tuple[str, ...] = ALLOWED,
        owner: str = OWNER,
        clock: Callable[[], float] = time.monotonic,
    ) -> Agent:
        files = Files([Place(self.containerd, by_hosts_toml=True), Place(self.docker)], owner)
        return Agent(self.claims, files, allowed, ask, clock)

    def give(self, *claims: Claim, complete: bool = True) -> None:
        """Mount these claims in the place of those of before, all at once."""
        texts = {f"team.registry-{number}": claim.text() for number, claim in enumerate(claims)}
        self.mount(texts | ({COMPLETE: "true"} if complete else {}))

    def mount(self, texts: dict[str, str]) -> None:
        mount(self.claims, texts)

    def files(self) -> set[str]:
        """Every file below both folders, from the node's home; looked for again when a folder goes meanwhile."""
        while True:
            with suppress(FileNotFoundError):
                roots = (self.containerd.parent, self.docker.parent)
                found = (path for root in roots for path in root.rglob("*") if path.is_file() or path.is_symlink())
                return {path.relative_to(self.home).as_posix() for path in found}

    def folders(self) -> set[str]:
        return {path.name for root in (self.containerd, self.docker) for path in root.iterdir()}


def mount(folder: Path, texts: dict[str, str]) -> None:
    """As a kubelet does it: a new folder, and a link that leads to it from one moment to the next."""
    number = next(_NUMBERS)
    moment = folder / f"..{number}"
    moment.mkdir()
    for name, text in texts.items():
        (moment / name).write_text(text)
    draft = folder / f"..data_{number}"
    draft.symlink_to(moment.name)
    old = (folder / "..data").resolve() if (folder / "..data").is_symlink() else None
    os.replace(draft, folder / "..data")
    _link(folder, texts)
    if old:
        shutil.rmtree(old)


def _link(folder: Path, names: Iterable[str]) -> None:
    for held in folder.iterdir():
        if not held.name.startswith("..") and held.name not in names:
            held.unlink()
    for name in names:
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")
