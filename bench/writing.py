"""Two processes with 25 writing threads each on one SQLite file: nobody may be told that it is busy.

`python -m bench.writing URL BEGIN SECONDS THREADS` is one of the processes; it prints what its writes met.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.engine import ExceptionContext

from bench.figures import Bound, Row, Spread
from bench.stage import Bench
from pier_registry import errors
from pier_registry.metadata import events, migrate, repositories
from pier_registry.metadata.session import Metadata, Transaction
from pier_registry.names import RepositoryName

NAME: Final = "writers"
_PROCESSES: Final = 2
_THREADS: Final = 25
_SECONDS: Final = 5.0
_START: Final = 1.5  # seconds for both processes to be there
_BUSY: Final = Bound("at most", 0.0)
_HOME: Final = RepositoryName.parse("bench/app")


def measure(bench: Bench) -> Iterator[Row]:
    """`busy` counts what SQLite refused and what callers were told, retries that helped included."""
    url = f"sqlite:///{bench.folder / 'writers.sqlite3'}"
    metadata = Metadata(url)
    migrate.upgrade(metadata)
    metadata.write(lambda tx: repositories.find_or_create(tx, _HOME))
    metadata.close()
    rounds = [_round(url) for _ in range(bench.rounds)]
    subject = f"{_PROCESSES} processes of {_THREADS} threads, SQLite"
    busy = Spread.of(met["busy"] for met in rounds)
    yield Row(NAME, f"{subject}: busy errors", "errors", busy, bound=_BUSY, judged=busy.most)
    for key, unit in (("rate", "writes/s"), ("p99", "ms"), ("worst", "ms")):
        words = {"rate": "writes", "p99": "wait and write, p99", "worst": "wait and write, worst"}[key]
        yield Row(NAME, f"{subject}: {words}", unit, Spread.of(met[key] for met in rounds))


def _round(url: str) -> dict[str, float]:
    begin = time.time() + _START
    command = [sys.executable, "-m", "bench.writing", url, str(begin), str(_SECONDS), str(_THREADS)]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(_PROCESSES)]
    told = [json.loads(process.communicate(timeout=_SECONDS + 60)[0]) for process in started]
    waits = sorted(wait for one in told for wait in one["waits"])
    return {
        "busy": sum(one["busy"] for one in told),
        "rate": len(waits) / _SECONDS,
        "p99": statistics.quantiles(waits, n=100)[-1],
        "worst": waits[-1],
    }


@dataclass(slots=True)
class _Met:
    """`waits` in milliseconds, from the call to its return."""

    waits: list[float] = field(default_factory=list)
    busy: int = 0

    def notice(self, context: ExceptionContext) -> None:
        if "locked" in str(context.original_exception) or "busy" in str(context.original_exception):
            self.busy += 1


def _write(tx: Transaction) -> None:
    home = repositories.find(tx, _HOME, lock=True)
    assert home is not None
    repositories.touch(tx, home.id)
    events.add(tx, "bench", "bench", repository=_HOME.full)


def _writing(metadata: Metadata, met: _Met, begin: float, seconds: float) -> None:
    time.sleep(max(0.0, begin - time.time()))
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        start = time.perf_counter()
        try:
            metadata.write(_write)
        except errors.Busy:
            met.busy += 1
        met.waits.append((time.perf_counter() - start) * 1000)


def main() -> None:
    url, begin, seconds, count = sys.argv[1], float(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
    metadata = Metadata(url)
    met = _Met()
    event.listen(metadata.engine, "handle_error", met.notice)
    arguments: tuple[Any, ...] = (metadata, met, begin, seconds)
    threads = [threading.Thread(target=_writing, args=arguments) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps({"waits": met.waits, "busy": met.busy}))


if __name__ == "__main__":
    main()
