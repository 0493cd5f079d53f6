"""Any history of pushes, retags, deletes, ended promises and crashes, told against a model of what must be.

The model knows which tag points where, and which images a client was promised in an open push: told to exist, or
sent. What it does not know for sure after a crash it reads back, having checked that it is one of the two states.
"""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pier_registry import errors
from pier_registry.actions import fsck, reclaim
from pier_registry.actions.receipt import Receipt
from pier_registry.actions.registry import Registry
from tests.registry.counting import passing, planting, truth
from tests.registry.counting.crashing import Crash, Fuse, fused
from tests.registry.counting.pushing import Client, Image, content, image, repository

_ROOTS: Final = (image("root 0", size=60), image("root 1", layer="shared", size=60))
_BASES: Final = (image("base 0", _ROOTS[0], size=80), image("base 1", _ROOTS[0], layer="shared", size=60))
_TOPS: Final = (
    image("top 0", _BASES[0], size=90),
    image("top 1", _BASES[0], size=100),
    image("top 2", _BASES[1], size=110),
    image("top 3", _ROOTS[1], layer="same top", size=120),
    image("top 4", layer="same top", size=120),
)
IMAGES: Final = (*_ROOTS, *_BASES, *_TOPS)
CLIENTS: Final = (("alice", "docker/1.5.0"), ("alice", "docker/1.6.0"), ("bob", "docker/1.5.0"))
REPOSITORIES: Final = ("team/a", "library/b")
TAGS: Final = ("1", "2")

clients = st.integers(0, len(CLIENTS) - 1)
repositories = st.sampled_from(REPOSITORIES)
tags = st.sampled_from(TAGS)
images = st.sampled_from(IMAGES)
fuses = st.one_of(st.none(), st.none(), st.none(), st.integers(0, 25))
picks = st.integers(0, 1000)

Push = tuple[int, str]


@dataclass(slots=True)
class Announced:
    """An open session; `ended` when one of several was ended, and nobody knows which."""

    ids: frozenset[str]
    ended: bool = False


class Histories(RuleBasedStateMachine):
    def __init__(self, registry: Registry) -> None:
        super().__init__()
        self.registry = registry
        registry.metadata.write(planting.clear)
        for area in ("layers", "uploads"):
            _empty(registry.settings.data / area)
        self.fuse = Fuse()
        self.fragile = fused(registry, self.fuse)
        self.tags: dict[tuple[str, str], Image] = {}
        self.sessions: dict[Push, list[Announced]] = {}
        self.promised: dict[Push, Counter[str]] = {}
        self.running: dict[Push, Iterator[Callable[[], object]]] = {}
        self.completed: set[tuple[int, str]] = set()
        self.crashed = False
        self.hours = 0

    def client(self, number: int) -> Client:
        user, agent = CLIENTS[number]
        return Client(self.fragile, user, agent)

    @contextmanager
    def maybe_crashing(self, steps: int | None) -> Iterator[None]:
        """Afterwards the model's tags are what the registry's are."""
        if steps is None:
            yield
            return
        try:
            with self.fuse.lit(steps):
                yield
        except Crash:
            self.crashed = True

    # Pushes, whole or in part.

    @rule(number=clients, name=repositories, top=images)
    def start_a_push(self, number: int, name: str, top: Image) -> None:
        self.running[number, name] = self._steps(number, name, top)
        next(self.running[number, name])()

    @precondition(lambda self: self.running)
    @rule(pick=picks, steps=st.integers(1, 8), alone=st.booleans(), fuse=fuses)
    def go_on_with_a_push(self, pick: int, steps: int, alone: bool, fuse: int | None) -> None:
        """Other pushes and deletes may have run since its last step."""
        if alone:
            self.delete_all(0)
        key = sorted(self.running)[pick % len(self.running)]
        push = self.running.pop(key)
        with self.maybe_crashing(fuse):
            for _, step in zip(range(steps), push, strict=False):
                step()
            self.running[key] = push

    @rule(number=clients, name=repositories, tag=tags, top=images, fuse=fuses)
    def push(self, number: int, name: str, tag: str, top: Image, fuse: int | None) -> None:
        with self.maybe_crashing(fuse):
            for step in self._steps(number, name, top):
                step()
            self._point(number, name, tag, top, own=True)
            self._end(number, name)
        self._read_back({(name, tag): {self.tags.get((name, tag)), top}}, crashed=fuse is not None)

    def _steps(self, number: int, name: str, top: Image) -> Iterator[Callable[[], object]]:
        """What docker does until the tag; a step that returned is a promise."""
        client = self.client(number)
        yield partial(self._begin, number, name, top)
        missing: list[Image] = []
        for one in reversed(top.chain):
            yield partial(self._ask, number, name, one, missing)
        for one in missing:
            unfinished: list[Image] = []
            yield partial(self._send_json, number, name, one, unfinished)
            if unfinished:
                yield partial(self._send_layer, number, one, unfinished)
            if unfinished:
                yield partial(client.send_checksum, one)
                self.promised[number, name][one.id] += 1
                self.completed.add((number, one.id))

    def _ask(self, number: int, name: str, one: Image, missing: list[Image]) -> None:
        if self.client(number).told_there(one):
            self.promised[number, name][one.id] += 1
        else:
            missing.append(one)

    def _send_json(self, number: int, name: str, one: Image, unfinished: list[Image]) -> None:
        try:
            self.client(number).send_json(one)
            unfinished.append(one)
        except errors.ImageExists:
            self.promised[number, name][one.id] += 1

    def _send_layer(self, number: int, one: Image, unfinished: list[Image]) -> None:
        """Two pushes of one client share a pending image: once one has completed it, the other may be refused."""
        try:
            self.client(number).send_layer(one)
        except (errors.ImageUnknown, errors.ImageExists):
            assert (number, one.id) in self.completed
            unfinished.clear()

    def _begin(self, number: int, name: str, top: Image) -> None:
        self.client(number).begin(name, top)
        new = Announced(frozenset(one.id for one in top.chain))
        others = [known for known in self.sessions.get((number, name), []) if known.ids != new.ids]
        self.sessions[number, name] = [*others, new]
        self.promised.setdefault((number, name), Counter())

    def _end(self, number: int, name: str) -> None:
        """Nobody knows which of two pushes ended, so with the last one only are promises taken back."""
        running = [known for known in self.sessions.get((number, name), []) if not known.ended]
        if len(running) > 1:
            running[-1].ended = True
        else:
            self.sessions[number, name] = []
            self.promised[number, name] = Counter()
            self.running.pop((number, name), None)
        client = self.client(number)
        client.end(name)
        if not truth.is_pushing(self.registry, name, client.pusher):
            left = truth.promises(self.registry, name, client.pusher)
            if self.crashed:  # in a tag's PUT, perhaps: what was promised of its config ends by itself
                left = [row for row in left if row["kind"] != "layer"]
            assert left == []

    @precondition(lambda self: any(self.sessions.values()))
    @rule(pick=picks, fuse=fuses)
    def end_a_push(self, pick: int, fuse: int | None) -> None:
        pushing = sorted(push for push, sessions in self.sessions.items() if sessions)
        number, name = pushing[pick % len(pushing)]
        with self.maybe_crashing(fuse):
            self._end(number, name)

    @rule(number=clients, name=repositories, tag=tags, top=images)
    def push_without_a_session(self, number: int, name: str, tag: str, top: Image) -> None:
        """As other clients than docker do: what was sent is promised to its user until the tag."""
        client = self.client(number)
        before = truth.promises(self.registry, "", client.pusher)
        for one in reversed(top.chain):
            client.send(one)
        self._point(number, name, tag, top)
        if not before:
            assert truth.promises(self.registry, "", client.pusher) == []

    # Tags.

    def _point(self, number: int, name: str, tag: str, top: Image, *, own: bool = False) -> Receipt:
        """One promise of each image is taken back; unless it was this push's `own`, a running one now lacks it."""
        if not own:
            self.running.pop((number, name), None)
        self.promised.setdefault((number, name), Counter()).subtract(one.id for one in top.chain)
        told = self.client(number).tag(name, tag, top)
        self.tags[name, tag] = top
        return told

    def _ready(self) -> list[tuple[int, str, Image]]:
        """Pushes that were promised an image and all its ancestors."""
        return [
            (number, name, top)
            for (number, name), promised in sorted(self.promised.items())
            for top in IMAGES
            if all(promised[one.id] > 0 for one in top.chain)
        ]

    @precondition(lambda self: self._ready())
    @rule(pick=picks, tag=tags, alone=st.booleans(), fuse=fuses)
    def tag_what_was_promised(self, pick: int, tag: str, alone: bool, fuse: int | None) -> None:
        """Whatever deletes ran since: an image that a push was told exists, or sent, can be tagged."""
        if alone:
            self.delete_all(0)
        ready = self._ready()
        number, name, top = ready[pick % len(ready)]
        before = self.tags.get((name, tag))
        with self.maybe_crashing(fuse):
            self._point(number, name, tag, top)
        self._read_back({(name, tag): {before, top}}, crashed=fuse is not None)

    @precondition(lambda self: self.tags)
    @rule(number=clients, name=repositories, tag=tags, top=images, fuse=fuses)
    def retag(self, number: int, name: str, tag: str, top: Image, fuse: int | None) -> None:
        """Without a push: what some tag holds can be tagged, anything else may be refused."""
        before = self.tags.get((name, tag))
        held = any(one.id == top.id for other in self.tags.values() for one in other.chain)
        with self.maybe_crashing(fuse):
            try:
                self._point(number, name, tag, top)
            except errors.ImageUnknown:
                assert not held
        self._read_back({(name, tag): {before, top}}, crashed=fuse is not None)

    @precondition(lambda self: self.tags)
    @rule(number=clients, pick=picks, fuse=fuses)
    def move_a_tag_within_its_chain(self, number: int, pick: int, fuse: int | None) -> None:
        (name, tag), old = sorted(self.tags.items())[pick % len(self.tags)]
        related = [one for one in IMAGES if one in old.chain or old in one.chain]
        self.retag(number, name, tag, related[pick % len(related)], fuse)

    @precondition(lambda self: self.tags)
    @rule(number=clients, pick=picks, fuse=fuses)
    def delete(self, number: int, pick: int, fuse: int | None) -> None:
        name, tag = sorted(self.tags)[pick % len(self.tags)]
        top = self.tags[name, tag]
        foreseen = self.client(number).preview(name, tag)
        exact = self._nothing_else_holds()
        with self.maybe_crashing(fuse):
            told = self.client(number).delete(name, tag)
            del self.tags[name, tag]
            assert told == foreseen
            self._adds_up(told, top, exact)
        self._read_back({(name, tag): {top, None}}, crashed=fuse is not None)

    @rule(number=clients)
    def delete_all(self, number: int) -> None:
        """The hardest on running pushes: nothing is held but by their promises."""
        for name, tag in sorted(self.tags):
            self.client(number).delete(name, tag)
        self.tags = {}

    @rule(number=clients, name=repositories, fuse=fuses)
    def delete_a_repository(self, number: int, name: str, fuse: int | None) -> None:
        known = {key: top for key, top in self.tags.items() if key[0] == name}
        with self.maybe_crashing(fuse):
            try:
                foreseen = self.client(number).preview_repository(name)
            except errors.RepositoryUnknown:
                assert not known
                return
            assert self.client(number).delete_repository(name) == foreseen
            for key in known:
                del self.tags[key]
        self._read_back({key: {top, None} for key, top in known.items()}, crashed=fuse is not None)

    def _nothing_else_holds(self) -> bool:
        """Neither promises nor a repository whose delete crashed."""
        found = truth.rows(self.registry)
        return not found.of("lease") and not any(row["name"].startswith("#") for row in found.of("repository"))

    def _adds_up(self, told: Receipt, top: Image, exact: bool) -> None:
        others = {digest for other in self.tags.values() for digest in _sizes(other)}
        loose = {digest: size for digest, size in _sizes(top).items() if digest not in others}
        freed = {line.digest: line.size for line in told.layers}
        assert freed.items() <= loose.items()
        assert told.freed_bytes == sum(freed.values())
        assert told.pending_bytes == sum(line.size for line in told.promised)
        if exact:
            assert freed == loose
            assert told.pending_bytes == 0

    # Time, and what works in the background.

    @rule(what=st.sampled_from(("work off", "check", "minutes", "promises", "days")), fuse=fuses)
    def time_passes(self, what: str, fuse: int | None) -> None:
        if what == "minutes":
            passing.time(self.registry, 2 * passing.MINUTE)
        elif what == "promises":
            passing.leases(self.registry)
            self.promised, self.running = {push: Counter() for push in self.promised}, {}
            self.crashed = False
            self.hours += 1
        if what == "days" or self.hours > 20:
            self._days_pass()
        if what == "check":
            assert fsck.run(self.registry, repair=False, digests=True).findings == []
        with self.maybe_crashing(fuse):
            reclaim.work_off(self.fragile)

    def _days_pass(self) -> None:
        passing.everything(self.registry)
        self.promised, self.sessions, self.running, self.hours = {}, {}, {}, 0
        truth.is_at_rest(self.registry)

    # What must hold.

    def _read_back(self, choices: dict[tuple[str, str], set[Image | None]], *, crashed: bool) -> None:
        """After a crash a tag is either as it was or as it was to be."""
        if not crashed:
            return
        found = truth.tags(self.registry)
        for key, tops in choices.items():
            (actual,) = [top for top in tops if found.get(key) == (top.id if top else None)]
            self.tags.pop(key, None)
            if actual:
                self.tags[key] = actual

    @invariant()
    def counts_chains_and_files_hold(self) -> None:
        truth.holds(self.registry)

    @invariant()
    def tags_point_where_they_should(self) -> None:
        visible = {key: top for key, top in truth.tags(self.registry).items() if not key[0].startswith("#")}
        assert visible == {key: top.id for key, top in self.tags.items()}

    def teardown(self) -> None:
        passing.everything(self.registry)
        truth.is_at_rest(self.registry)
        self.tags_point_where_they_should()
        client = replace(self.client(0), registry=self.registry)
        for top in self.tags.values():
            assert client.pulled(top) == content(top)
        assert fsck.run(self.registry, repair=False, digests=True).findings == []
        for name in {name for name, _ in self.tags}:
            client.delete_repository(repository(name).full)
        assert truth.files(self.registry) == {}
        truth.is_at_rest(self.registry)


def _sizes(top: Image) -> dict[str, int]:
    """By digest, what a tag on this image reaches: its layers, and the config that v2 clients get."""
    config = "sha256:" + hashlib.sha256(top.config).hexdigest()
    return {str(one.digest): one.size for one in top.chain} | {config: len(top.config)}


def _empty(area: Path) -> None:
    shutil.rmtree(area)
    area.mkdir()
