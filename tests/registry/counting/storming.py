"""Many clients at once: each a thread that pushes, retags and deletes at random until its time is up.

`python -m tests.registry.counting.storming DATA URL SECONDS THREADS SEED` is one process of a storm: it prints
`ready` when it begins, and at the end what it did as JSON.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pier_registry import errors
from pier_registry.actions import reclaim
from pier_registry.actions.registry import Registry
from pier_registry.app import open_registry
from pier_registry.settings import Settings
from tests.registry.counting.pushing import Client, image

_ROOT: Final = Path(__file__).parents[3]
_ROOTS: Final = [image(f"root {number}") for number in range(2)]
_BASES: Final = [image(f"base {number}", _ROOTS[number % 2], layer=f"shared {number % 3}") for number in range(4)]
TOPS: Final = [image(f"top {number}", _BASES[number % 4], layer=f"content {number % 9}") for number in range(12)]
REPOSITORIES: Final = ("team/a", "team/b", "library/c")
TAGS: Final = ("1", "2", "3")
USERS: Final = ("alice", "bob", "carol")


@dataclass(slots=True)
class Told:
    """How often each thing was done, and what must not have happened."""

    done: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def join(self, other: Told) -> None:
        self.done += other.done
        self.failures += other.failures


def run(registry: Registry, seconds: float, threads: int, seed: int) -> Told:
    """A storm in this process, with one reclaimer at work."""
    workers = [_Worker(registry, time.monotonic() + seconds, seed * 1000 + number) for number in range(threads)]
    running = [threading.Thread(target=worker.run) for worker in workers]
    reclaimer = reclaim.Reclaimer(registry, interval=0.3)
    reclaimer.start()
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    reclaimer.stop()
    whole = Told()
    for worker in workers:
        whole.join(worker.told)
    return whole


class _Worker:
    """One client: a docker of its own, so its promises are its own."""

    def __init__(self, registry: Registry, deadline: float, seed: int) -> None:
        self._random = random.Random(seed)
        self._client = Client(registry, USERS[seed % len(USERS)], agent=f"docker/{seed}")
        self._deadline = deadline
        self.told = Told()

    def run(self) -> None:
        choices: Sequence[Callable[[str, str], None]] = (
            *[self._push] * 6,
            *[self._retag] * 2,
            *[self._delete] * 3,
            self._preview,
            self._delete_repository,
        )
        while time.monotonic() < self._deadline:
            act = self._random.choice(choices)
            try:
                act(self._random.choice(REPOSITORIES), self._random.choice(TAGS))
            except Exception:  # noqa: BLE001  whatever it is, the test is to say so
                self.told.failures.append(traceback.format_exc())
                return

    def _push(self, name: str, tag: str) -> None:
        """All that is told to exist, or taken, must be there for the tag: any refusal in between is a failure."""
        top = self._random.choice(TOPS)
        self._client.begin(name, top)
        self._client.send_missing(top)
        self._client.tag(name, tag, top)
        self._client.end(name)
        self.told.done["push"] += 1

    def _retag(self, name: str, tag: str) -> None:
        try:
            self._client.tag(name, tag, self._random.choice(TOPS))
            self.told.done["retag"] += 1
        except errors.ImageUnknown:
            self.told.done["refused"] += 1

    def _delete(self, name: str, tag: str) -> None:
        try:
            self._client.delete(name, tag, explain=self._random.random() < 0.5)
            self.told.done["delete"] += 1
        except errors.TagUnknown:
            self.told.done["missing"] += 1

    def _preview(self, name: str, tag: str) -> None:
        try:
            self._client.preview(name, tag)
        except (errors.TagUnknown, errors.Busy):  # one preview of a user at a time
            self.told.done["missing"] += 1

    def _delete_repository(self, name: str, _tag: str) -> None:
        try:
            self._client.delete_repository(name)
            self.told.done["delete repository"] += 1
        except errors.RepositoryUnknown:
            self.told.done["missing"] += 1


def start(data: Path, url: str, seconds: float, threads: int, seed: int) -> subprocess.Popen[str]:
    """A storm in a process of its own, already at work."""
    told = [str(data), url, str(seconds), str(threads), str(seed)]
    process = subprocess.Popen(
        [sys.executable, "-m", __name__, *told],
        cwd=_ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def ended(process: subprocess.Popen[str]) -> Told:
    """What the process did."""
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    found = json.loads(output)
    return Told(Counter(found["done"]), found["failures"])


def main(data: str, url: str, seconds: str, threads: str, seed: str) -> None:
    registry = open_registry(Settings(data=Path(data), database_url=url))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    told = run(registry, float(seconds), int(threads), int(seed))
    registry.metadata.close()
    sys.stdout.write(json.dumps({"done": told.done, "failures": told.failures}))


if __name__ == "__main__":
    main(*sys.argv[1:])
