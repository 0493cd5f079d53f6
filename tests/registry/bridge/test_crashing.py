"""Whatever step a crossing of the bridge is broken off at: nothing is lost or left, and it can be done again."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from pier_registry.actions import fsck
from pier_registry.actions.registry import Registry
from tests.registry.bridge.crossing import ACTS, Act, Client, faces
from tests.registry.counting import passing, truth
from tests.registry.counting.conftest import Place
from tests.registry.counting.crashing import Crash, Fuse, fused

ROOT = Path(__file__).parents[3]
STRIDE = 5  # of the steps at which a process is really killed


@pytest.fixture(params=ACTS, ids=lambda name: name.replace(" ", "-"))
def act(request: pytest.FixtureRequest) -> Act:
    return ACTS[request.param]


def holds(registry: Registry) -> None:
    """At any moment, also after a crash: what fsck may find is a file that no row knows yet."""
    truth.holds(registry)
    assert faces(registry) == []
    found = fsck.run(registry, repair=False, digests=True).findings
    assert {finding.kind for finding in found} <= {"stray"}


def ends_well(registry: Registry, act: Act) -> None:
    """The tag is where it was or was to be; done again the act succeeds, and nothing of the first try is left."""
    holds(registry)
    client = Client(registry)
    assert tuple(pulled(client, act)) in {act.before, act.after}
    act.run(client)
    assert tuple(pulled(client, act)) == act.after
    passing.everything(registry)
    truth.is_at_rest(registry)
    assert faces(registry) == []
    assert fsck.run(registry, repair=False, digests=True).findings == []
    assert client.sees(act.name, act.tag)
    assert tuple(pulled(client, act)) == act.after


def pulled(client: Client, act: Act) -> list[str]:
    """Over v1 by the tag; it must be there for v2 just then."""
    top = client.tag(act.name, act.tag)
    assert bool(top) == bool(client.sees(act.name, act.tag))
    return client.pulls(top) if top else []


def cleared(registry: Registry) -> None:
    """All tags go, and with them everything."""
    client = Client(registry)
    for name, tag in client.tags():
        client.delete(name, tag)
    truth.is_at_rest(registry)
    assert truth.files(registry) == {}
    assert [truth.count(registry, table) for table in ("image", "manifest", "layer", "repository")] == [0] * 4


def test_a_crossing_may_break_off_at_any_step(place: Place, act: Act) -> None:
    registry, fuse = place.open(), Fuse()
    broken = Client(fused(registry, fuse))
    for steps in count():
        act.prepare(Client(registry))
        broken_off = False
        try:
            with fuse.lit(steps):
                act.run(broken)
        except Crash:
            broken_off = True
        ends_well(registry, act)
        cleared(registry)
        if not broken_off:
            break
    assert steps > 5


@pytest.fixture
def killed(place: Place, request: pytest.FixtureRequest) -> Iterator[Callable[[int], int]]:
    """Does the act in a process that is killed after so many steps; its exit code is 0 when there were fewer."""
    name = request.node.callspec.params["act"]
    command = [sys.executable, "-m", "tests.registry.bridge.crossing", str(place.data), place.url]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as crossing:
        assert crossing.stdin
        assert crossing.stdout
        asked, told = crossing.stdin, crossing.stdout

        def ask(steps: int) -> int:
            asked.write(f"{steps} {name}\n")
            asked.flush()
            return int(told.readline())

        yield ask
        asked.close()
        assert crossing.wait(timeout=30) == 0


def test_a_process_may_be_killed_in_a_crossing(place: Place, act: Act, killed: Callable[[int], int]) -> None:
    registry = place.open()
    for steps in count(0, STRIDE):
        act.prepare(Client(registry))
        ended = killed(steps)
        assert ended in {0, -9}
        ends_well(registry, act)
        cleared(registry)
        if ended == 0:
            break
    assert steps > 0
