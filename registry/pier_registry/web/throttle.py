"""Wrong passwords are counted, so that guessing stays slow: per user and address, and per address over all users.

An attempt counts as a failure from its start, so guesses sent together do not slip through together; it is taken
back when it turns out good. The counts are those of one process.
"""

from __future__ import annotations

import ipaddress
import math
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from pier_registry import errors

WINDOW: Final = 60.0  # seconds
PER_ADDRESS: Final = 10  # an address may fail so many times as often as one of its users
_MOST: Final = 10_000
_NAME_KEPT: Final = 64

Clock = Callable[[], float]
Bucket = tuple[str, str | None]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One counted attempt, to be forgiven when it was good."""

    buckets: tuple[Bucket, Bucket]
    at: float


class Throttle:
    """At most `limit` failures in a minute; safe for threads; the oldest of `most` buckets are dropped."""

    def __init__(self, limit: int, *, most: int = _MOST, clock: Clock = time.monotonic) -> None:
        self._limit = limit
        self._most = most
        self._clock = clock
        self._failures: OrderedDict[Bucket, deque[float]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._failures)

    def check(self, client: str, user: str) -> None:
        """Raises TooManyRequests when this client has failed too often; counts nothing."""
        with self._lock:
            self._refuse_full(_buckets(client, user), self._clock())

    def charge(self, client: str, user: str) -> Attempt:
        """Count an attempt. Raises TooManyRequests as `check`."""
        buckets = _buckets(client, user)
        with self._lock:
            now = self._clock()
            self._refuse_full(buckets, now)
            for bucket in buckets:
                self._failures.setdefault(bucket, deque()).append(now)
                self._failures.move_to_end(bucket)
            while len(self._failures) > self._most:
                self._failures.popitem(last=False)
        return Attempt(buckets, now)

    def forgive(self, attempt: Attempt) -> None:
        with self._lock:
            for bucket in attempt.buckets:
                times = self._failures.get(bucket)
                if times and attempt.at in times:
                    times.remove(attempt.at)
                if not times:
                    self._failures.pop(bucket, None)

    def _refuse_full(self, buckets: tuple[Bucket, Bucket], now: float) -> None:
        wait = max(self._wait(bucket, now) for bucket in buckets)
        if wait > 0:
            raise errors.TooManyRequests(
                "too many wrong passwords: wait a minute and log in with the right one", math.ceil(wait)
            )

    def _wait(self, bucket: Bucket, now: float) -> float:
        """Seconds until the bucket has room."""
        times = self._failures.get(bucket)
        if times is None:
            return 0
        while times and times[0] <= now - WINDOW:
            times.popleft()
        room = self._limit * (PER_ADDRESS if bucket[1] is None else 1)
        return times[0] + WINDOW - now if len(times) >= room else 0


def _buckets(client: str, user: str) -> tuple[Bucket, Bucket]:
    source = _source(client)
    return (source, user[:_NAME_KEPT]), (source, None)


def _source(client: str) -> str:
    """The address; of IPv6 the /64, since one host has all of it to itself."""
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return client
    if address.version == 4:
        return client
    return str(ipaddress.ip_network((int(address) >> 64 << 64, 64)))
