"""Requests, counted by protocol, method and status, and timed until their answers begin.

All workers count in one piece of memory, each in a part of its own, so any of them can tell the sums. It is no file: a
full disk must not be in the way of a count, and prometheus_client's own way for several processes needs files.
"""

from __future__ import annotations

import mmap
import os
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from itertools import accumulate, product
from typing import TYPE_CHECKING, Any, Final

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_PROTOCOLS: Final = ("v1", "v2", "api", "other")
_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "other")
_CODES: Final = (*(str(status.value) for status in HTTPStatus), "other")
_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
_ROOMS: Final = {"v1": "v1", "_ping": "v1", "v2": "v2", "api": "api"}
# Asked by machines all day long, and nobody's traffic.
_PRIVATE: Final = frozenset({"healthz", "readyz", "metrics"})

# Of one worker: requests by what they were, then for each kind of question the times by bucket, and their sum.
_KINDS: Final = {kind: place for place, kind in enumerate(product(_PROTOCOLS, _METHODS))}
_TOLD: Final = {(*kind, code): place for place, (kind, code) in enumerate(product(_KINDS, _CODES))}
_TIMES: Final = len(_SECONDS) + 2
_LENGTH: Final = len(_TOLD) + len(_KINDS) * _TIMES
_SIZE: Final = 8  # bytes of a number


class Counts:
    """Those of `parts` workers: of this process and those that it forks, and of all that have `file` for it.

    `file` is the descriptor of an empty one in memory; whoever opens it first gives it its size.
    """

    def __init__(self, parts: int = 1, file: int | None = None) -> None:
        size = parts * _LENGTH * _SIZE
        if file is not None:
            os.ftruncate(file, size)
        self._numbers = memoryview(mmap.mmap(-1 if file is None else file, size)).cast("d")
        self._parts = parts
        self._start = 0
        self._lock = threading.Lock()

    def of_worker(self, number: int) -> Counts:
        """Count in this worker's part from now on."""
        self._start = number % self._parts * _LENGTH
        return self

    def add(self, protocol: str, method: str, code: str, seconds: float) -> None:
        """Names that are not known count as `other`."""
        kind = (protocol, method if method in _METHODS else "other")
        told = self._start + _TOLD[(*kind, code if code in _CODES else "other")]
        times = self._start + len(_TOLD) + _KINDS[kind] * _TIMES
        with self._lock:
            self._numbers[told] += 1
            self._numbers[times + bisect_left(_SECONDS, seconds)] += 1
            self._numbers[times + _TIMES - 1] += seconds

    def sums(self) -> list[float]:
        return [sum(self._numbers[place::_LENGTH]) for place in range(_LENGTH)]


class Told(Collector):
    """The sums for Prometheus, of what there was at all."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts

    def collect(self) -> Iterator[CounterMetricFamily | HistogramMetricFamily]:
        sums = self._counts.sums()
        requests = CounterMetricFamily(
            "pier_requests", "Requests that were answered", labels=("protocol", "method", "code")
        )
        for labels, place in _TOLD.items():
            if sums[place]:
                requests.add_metric(labels, sums[place])
        yield requests
        seconds = HistogramMetricFamily(
            "pier_request_seconds", "Seconds until an answer began", labels=("protocol", "method")
        )
        for kind, place in _KINDS.items():
            times = sums[len(_TOLD) + place * _TIMES :][:_TIMES]
            if any(times):
                seconds.add_metric(kind, _up_to(times[:-1]), times[-1])
        yield seconds


def _up_to(numbers: list[float]) -> list[tuple[str, float]]:
    """Each bucket of Prometheus holds those before it, too."""
    bounds = [*(f"{bound:g}" for bound in _SECONDS), "+Inf"]
    return list(zip(bounds, accumulate(numbers), strict=True))


class Traffic:
    """A WSGI application in front of `way`, whose answers it counts."""

    def __init__(self, way: WSGIApplication, counts: Counts) -> None:
        self._way = way
        self._counts = counts

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        room = environ["PATH_INFO"].partition("/")[2].partition("/")[0]
        if room in _PRIVATE:
            return self._way(environ, start_response)
        began = time.monotonic()

        def start(status: str, headers: list[tuple[str, str]], *wrong: Any) -> Callable[[bytes], object]:
            protocol = _ROOMS.get(room, "other")
            self._counts.add(protocol, environ["REQUEST_METHOD"], status[:3], time.monotonic() - began)
            return start_response(status, headers, *wrong)

        return self._way(environ, start)
