"""One of today's clients at a registry, driven by the lines of its section in docs/clients.md."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.clients import manual
from tests.clients.programs import Program
from tests.clients.terminal import Terminal


@dataclass(frozen=True, slots=True)
class Client:
    """`address` is the registry's `name:port`. Repositories are `<team>/app`."""

    program: Program
    terminal: Terminal
    address: str

    @property
    def quiet_within(self) -> float:
        """Seconds after a push in which its promises may still be there."""
        return 12 if self.program.looks else 0

    @property
    def lines(self) -> manual.Steps:
        return manual.steps(self.program.name)

    def prepare(self, saved: Path, image: str, text: str = "") -> None:
        """Have what the manual's lines push: a saved image, or the client's own kind of thing with the text in it."""
        self.terminal.run(self.program.prepare.format(tar=saved, image=image, text=text))

    def trust(self) -> None:
        self.type(self.lines.trust)

    def distrust(self) -> None:
        self.terminal.run(self.program.distrust)

    def log_in(self, password: str) -> None:
        """Raises AssertionError, with what the client said, when it is refused."""
        (self.terminal.folder / "password").write_text(password)
        self.type(self.lines.login)

    def push(self, team: str) -> str:
        return self.type(self.lines.push, team)

    def push_again(self, team: str, other: str) -> str:
        """What the team has, to another team."""
        if not self.program.again:
            return self.push(other)
        return self.terminal.run(self.program.again.format(ref=self.reference(team), other=self.reference(other)))

    def pull(self, team: str) -> str:
        return self.type(self.lines.pull, team)

    def pull_without_running(self, team: str) -> str:
        fetching = [line for line in self.lines.pull.splitlines() if " run " not in line]
        return self.type("\n".join(fetching), team)

    def pulled_digest(self, team: str, told: str) -> str:
        """`told` is what the pull printed."""
        if self.program.digest:
            told = self.terminal.run(self.program.digest.format(ref=self.reference(team)))
        found = re.search(r"sha256:[0-9a-f]{64}", told)
        assert found, told
        return found[0]

    def forget(self) -> None:
        self.terminal.run(self.program.forget)

    def delete(self, team: str) -> str:
        return self.type(self.lines.delete, team)

    def attempt(self, lines: str, team: str = "team") -> subprocess.CompletedProcess[str]:
        return self.terminal.attempt(manual.addressed(lines, self.address, team))

    def reference(self, team: str) -> str:
        return f"{self.address}/{team}/app:{self.program.tag}"

    def type(self, lines: str, team: str = "team") -> str:
        """Raises AssertionError when a line fails."""
        return self.terminal.run(manual.addressed(lines, self.address, team))
