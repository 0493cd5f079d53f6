"""A push that is under way for as long as a test wants."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx

from tests.registry.v2.documents import digest, noise
from tests.registry.v2.pushing import Repository


@dataclass(slots=True)
class SlowPush:
    """A blob whose second half waits until it is let go."""

    halves: tuple[bytes, bytes] = field(default_factory=lambda: (noise(300_000), noise(300_000)))
    begun: threading.Event = field(default_factory=threading.Event)
    let_go: threading.Event = field(default_factory=threading.Event)

    @property
    def digest(self) -> str:
        return digest(b"".join(self.halves))

    def run(self, repository: Repository) -> httpx.Response:
        """The answer to its PUT."""
        place = repository.begin()
        return repository.http.put(place, params={"digest": self.digest}, content=self._body())

    def _body(self) -> Iterator[bytes]:
        yield self.halves[0]
        self.begun.set()
        self.let_go.wait(60)
        yield self.halves[1]
