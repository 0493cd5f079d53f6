"""What bcrypt said, remembered for a minute: strong hashes at full speed.

Only good verdicts are kept, under a keyed digest of users file, user and password, so a changed file forgets all
and a memory dump holds no password. Equal credentials that arrive together cost one bcrypt.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Final

Clock = Callable[[], float]

LIFETIME: Final = 60.0  # seconds
_MOST: Final = 4096
_MOST_CLIENTS: Final = 1024


@dataclass(slots=True)
class _Verdict:
    until: float
    clients: OrderedDict[str, None] = field(default_factory=OrderedDict)


class Verdicts:
    """Good credentials by key, the least recently used beyond `most` forgotten; safe for threads."""

    def __init__(self, *, most: int = _MOST, lifetime: float = LIFETIME, clock: Clock = time.monotonic) -> None:
        self._most = most
        self._lifetime = lifetime
        self._clock = clock
        self._secret = secrets.token_bytes(32)
        self._version = ""
        self._good: OrderedDict[bytes, _Verdict] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._good)

    def key(self, version: str, user: str, password: str) -> bytes:
        """What a credential is remembered by; `version` names the users file's content. The user holds no NUL."""
        if version != self._version:
            with self._lock:
                self._good.clear()
                self._version = version
        return hashlib.blake2b(f"{version}\0{user}\0{password}".encode(), key=self._secret, digest_size=32).digest()

    def holds(self, key: bytes) -> bool:
        with self._lock:
            return self._find(key) is not None

    def holds_for(self, key: bytes, client: str) -> bool:
        """As `holds`, and this client has shown the credential before."""
        with self._lock:
            verdict = self._find(key)
            return verdict is not None and client in verdict.clients

    def remember(self, key: bytes) -> None:
        with self._lock:
            self._good[key] = _Verdict(self._clock() + self._lifetime)
            if len(self._good) > self._most:
                self._good.popitem(last=False)

    def remember_client(self, key: bytes, client: str) -> None:
        """Note who has shown a credential that is held; nothing, when it no longer is."""
        with self._lock:
            verdict = self._find(key)
            if verdict is None:
                return
            verdict.clients[client] = None
            if len(verdict.clients) > _MOST_CLIENTS:
                verdict.clients.popitem(last=False)

    def _find(self, key: bytes) -> _Verdict | None:
        verdict = self._good.get(key)
        if verdict is None:
            return None
        if verdict.until <= self._clock():
            del self._good[key]
            return None
        self._good.move_to_end(key)
        return verdict


class Flights:
    """One piece of work in flight per key; who comes meanwhile shares its result."""

    def __init__(self) -> None:
        self._flights: dict[bytes, Future[bool | None]] = {}
        self._lock = threading.Lock()

    def share(self, key: bytes, work: Callable[[], bool]) -> bool:
        """The result of `work`, ours or that of the one in flight. What our own work raises is raised to us alone."""
        while True:
            with self._lock:
                flight = self._flights.get(key)
                if flight is None:
                    mine = self._flights[key] = Future()
            if flight is None:
                return self._fly(key, mine, work)
            result = flight.result()
            if result is not None:
                return result

    def _fly(self, key: bytes, flight: Future[bool | None], work: Callable[[], bool]) -> bool:
        result = None
        try:
            result = work()
        finally:
            with self._lock:
                del self._flights[key]
            flight.set_result(result)
        return result
