"""What differs between docker engines that speak v1: one property per habit, named for what it means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Command = Literal["push", "pull", "search", "login"]

BARE_AGENT = "Go 1.1 package http"
_BUILDS = {"1.4.1": ("1.3.3", "5bc2ff8"), "1.6.2": ("1.4.2", "7c8fca2"), "1.9.1": ("1.4.3", "a34a1d5")}
_BUILDS["1.13.1"] = ("1.7.5", "092cba3")


@dataclass(frozen=True, slots=True)
class Engine:
    """A docker release, such as 1.6.2."""

    version: str

    @property
    def agent(self) -> str:
        """The User-Agent; since 1.11 the command line tool's own follows."""
        go, commit = _BUILDS[self.version]
        plain = f"docker/{self.version} go/go{go} git-commit/{commit} kernel/3.16.0-4-amd64 os/linux arch/amd64"
        return rf"{plain} UpstreamClient(Docker-Client/{self.version} \(linux\))" if self._since(1, 11) else plain

    @property
    def ping_agent(self) -> str:
        return self.agent if self._since(1, 6) else BARE_AGENT

    @property
    def registration_agent(self) -> str:
        """Of `POST /v1/users/`."""
        return self.agent if self._since(1, 7) else BARE_AGENT

    @property
    def registers_at_login(self) -> bool:
        return not self._since(1, 11)

    @property
    def asks_v2(self) -> bool:
        return self._since(1, 5)

    def resolves_v1(self, command: Command) -> bool:
        """Pings v1 already before the session does."""
        if command == "login":
            return self.registers_at_login
        return command == "search" or not self._since(1, 8)

    @property
    def needs_v2_status(self) -> bool:
        """v2 counts as found with status 200 or 401 only; later the header alone decides."""
        return not self._since(1, 8)

    @property
    def tries_v2_anyway(self) -> bool:
        """Attempts v2 also where nothing confirmed it, and falls back when the attempt fails."""
        return self._since(1, 10)

    @property
    def checks_all_first(self) -> bool:
        """Existence checks run five at a time before any upload; earlier engines interleave them."""
        return self._since(1, 5)

    @property
    def needs_token(self) -> bool:
        return not self._since(1, 7)

    @property
    def looks_up_one_tag(self) -> bool:
        return self._since(1, 8)

    @property
    def validates_ids(self) -> bool:
        """Pulls only images whose id is 64 hex digits."""
        return self._since(1, 9)

    @property
    def pulls_jsons_first(self) -> bool:
        """All json documents, then the layers three at a time; earlier engines take turns."""
        return self._since(1, 10)

    @property
    def limits_search(self) -> bool:
        return self._since(1, 12)

    @property
    def login_required(self) -> str:
        return "unauthorized: authentication required" if self._since(1, 10) else "Authentication is required."

    def _since(self, *version: int) -> bool:
        return tuple(int(part) for part in self.version.split(".")) >= version
