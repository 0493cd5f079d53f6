"""What every action works on, and who asks for it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from pier_registry import errors
from pier_registry.actions.turns import Turns
from pier_registry.metadata.leases import Pusher
from pier_registry.metadata.session import Metadata
from pier_registry.settings import Settings
from pier_registry.storage.base import Storage

Verb = Literal["pull", "push", "delete", "delete-repository", "admin"]


@dataclass(frozen=True, slots=True)
class Registry:
    settings: Settings
    metadata: Metadata
    storage: Storage
    turns: Turns

    @property
    def lease(self) -> int:
        """Life of a promise in milliseconds."""
        return int(self.settings.lease * 1000)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. `may` judges a verb on a repository's full name, `everywhere` a verb on all of them."""

    user: str
    address: str
    agent: str
    may: Callable[[Verb, str], bool]
    everywhere: Callable[[Verb], bool]

    @property
    def pusher(self) -> Pusher:
        """Two clients of one user at work at once are two pushers."""
        seen = "\0".join((self.user, self.address, self.agent))
        return Pusher(self.user, hashlib.sha256(seen.encode("utf-8", "surrogateescape")).hexdigest())

    def require(self, verb: Verb, repository: str) -> None:
        """Raises Denied."""
        if not self.may(verb, repository):
            raise errors.Denied(verb, repository)


def local_admin() -> Caller:
    """Whoever runs the command line on the data folder owns everything in it."""
    return Caller("local", "", "pier", lambda _verb, _repository: True, lambda _verb: True)
