"""A small authenticated GET, beside the same GET on a registry whose authentication is taken out."""

from __future__ import annotations

import contextlib
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean
from typing import Final

import httpx

from bench import images, layers, peer
from bench.client import Client, Door
from bench.figures import Bound, Row, Spread, compared, interleaved
from bench.images import Image
from bench.open_door import USER
from bench.programs import Unprepared
from bench.stage import Bench, door, serving
from pier_registry.web import users
from tests.parts.registry import READY_WITHIN, Running, configured

NAME: Final = "small GET"
_COST: Final = 12
_BOUND: Final = Bound("at most", 1.15)
_COLD: Final = 7
_SETTLED: Final = 2.5  # seconds after which a changed users file is no longer read at each request
_WARM: Final = 400
_TURNS: Final = 10
# With several, how connections happen to fall to workers outweighs what is measured here.
_WORKERS: Final = 1


def measure(bench: Bench) -> Iterator[Row]:
    """With a cost-12 password, one client and eight; the first request of a password; nginx doing the same itself.

    The time of a request is that of all divided by their number, so a password judged anew is in it.
    """
    image = Image.of(layers.layer(layers.MIB))
    with serving(bench, "guarded", workers=_WORKERS) as ours, _opened(bench, image) as open_door:
        images.push(bench.client, door(ours), image)
        path = f"{image.base}/json"
        yield _cold(bench.client, ours, path)
        guarded = Door(ours.url, ours.ca, USER, _new_password(ours, USER))
        time.sleep(_SETTLED)
        for clients, count in ((1, 400), (8, 1600)):
            yield _against_open(bench, (guarded, open_door), path, clients, count)
        yield _by_nginx(bench, ours, guarded, path)


def _against_open(bench: Bench, doors: tuple[Door, Door], path: str, clients: int, count: int) -> Row:
    """A round is many short turns of both sides, so that other work on the machine meets both alike."""
    turn = count // _TURNS

    def timed(one: Door) -> float:
        return bench.client.ask(one, "GET", path, count=turn, clients=clients).seconds / turn * 1000

    for one in doors:
        bench.client.ask(one, "GET", path, count=_WARM, clients=16)
    subjects = {"ours": lambda: timed(doors[0]), "open": lambda: timed(doors[1])}
    rounds = [interleaved(_TURNS, subjects) for _ in range(bench.rounds)]
    ours, theirs = ([fmean(one[name]) for one in rounds] for name in subjects)
    subject = f"cost-{_COST} password, {clients} client{'s' if clients > 1 else ''}"
    return compared((NAME, subject), "ms a request", ours, ("authentication taken out", theirs), _BOUND)


def _cold(client: Client, ours: Running, path: str) -> Row:
    """The first request of a password that the registry has not seen; its connection is there already."""
    client.ask(door(ours), "GET", path)
    measured = []
    for number in range(_COLD):
        name = f"cold{number}"
        first = Door(ours.url, ours.ca, name, _new_password(ours, name))
        measured.append(client.ask(first, "GET", path).seconds * 1000)
    return Row(NAME, f"cost-{_COST} password, its first request", "ms a request", Spread.of(measured))


def _by_nginx(bench: Bench, ours: Running, guarded: Door, path: str) -> Row:
    """nginx's own `auth_basic` on the same users file, for contrast: it has to hash at every request."""
    with peer.running(bench.folder / "auth_basic", ours, peer.Files(ours.ca, ours.data / "users.htpasswd")) as bare:
        hashing = Door(bare.url, bare.ca, guarded.user, guarded.password)
        bench.client.ask(hashing, "GET", "/guarded")
        measured = interleaved(
            bench.rounds,
            {
                "ours": lambda: bench.client.ask(guarded, "GET", path, count=50).seconds / 50 * 1000,
                "nginx": lambda: bench.client.ask(hashing, "GET", "/guarded").seconds * 1000,
            },
        )
    peers = (f"nginx auth_basic, cost {_COST}, static file", measured["nginx"])
    return compared((NAME, "the same, 1 client"), "ms a request", measured["ours"], peers, None)


def _new_password(ours: Running, name: str) -> str:
    password = secrets.token_urlsafe(12)
    users.put(ours.data / "users.htpasswd", name, users.hash_password(password, _COST))
    return password


@contextmanager
def _opened(bench: Bench, image: Image) -> Iterator[Door]:
    """A registry with the image, first run as it is to be made and filled, then without authentication."""
    with serving(bench, "open", workers=_WORKERS) as filled:
        images.push(bench.client, door(filled), image)
        _new_password(filled, USER)
    again = configured(filled.data, workers=_WORKERS)
    with _process(again, "bench.open_door", "registry"), _process(again, "pier_registry.proxy", "door"):
        _await(again)
        yield Door(again.url, again.ca, USER, "unread")


@contextmanager
def _process(running: Running, module: str, name: str) -> Iterator[None]:
    with _log(running, name).open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", module], env=running.environment, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=30)


def _log(running: Running, name: str) -> Path:
    return running.data.with_name(f"open-{name}.log")


def _is_ready(running: Running) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return running.private("/readyz").status_code == 200
    return False


def _await(running: Running) -> None:
    deadline = time.monotonic() + READY_WITHIN
    while not _is_ready(running):
        if time.monotonic() > deadline:
            logs = "".join(_log(running, name).read_text(encoding="utf-8") for name in ("registry", "door"))
            raise Unprepared(f"the registry without authentication did not start:\n{logs[-4000:]}")
        time.sleep(0.05)
