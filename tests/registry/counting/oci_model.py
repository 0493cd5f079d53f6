"""Any history of v2 pushes, retags, deletes, ended promises and crashes, told against a model of what must be.

A push that was given all it needs, and of which nobody took anything away, cannot fail, whatever is deleted
meanwhile. What is not known for sure after a crash is read back, having checked that it is one of the two states.
"""

from __future__ import annotations

import shutil
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pier_registry import errors
from pier_registry.actions import fsck, reclaim
from pier_registry.actions.receipt import Receipt
from pier_registry.actions.registry import Registry
from tests.registry.counting import oci_truth, passing, planting, truth
from tests.registry.counting.crashing import Crash, Fuse, fused
from tests.registry.counting.oci_images import Document, blob, image, index
from tests.registry.counting.oci_pushes import WAYS, Promises, Push, Way
from tests.registry.counting.oci_pushing import CONTAINERD, DOCKER, Client
from tests.registry.v2.documents import digest

_BASE: Final = blob("base", 80)
_IMAGES: Final = (
    image("one", _BASE, blob("one")),
    image("two", _BASE, blob("two")),
    image("three", _BASE, blob("second base"), blob("three")),
    image("four", blob("second base")),
)
_BOTH: Final = index("both", _IMAGES[0], _IMAGES[1])
_NOTE: Final = image("note on one", blob("note"), subject=_IMAGES[0])
DOCUMENTS: Final = (
    *_IMAGES,
    _BOTH,
    index("nested", _BOTH, _IMAGES[3]),
    _NOTE,
    image("note on a note", blob("note"), subject=_NOTE),
    image("note on both", blob("note"), _BASE, subject=_BOTH),
    index("list about one", _IMAGES[3], subject=_IMAGES[0]),
)
BY_DIGEST: Final = {each.digest: each for each in DOCUMENTS}
BLOBS: Final = tuple(dict.fromkeys(data for each in DOCUMENTS for data in each.blobs))
CLIENTS: Final = (("alice", CONTAINERD), ("alice", DOCKER), ("bob", CONTAINERD))
REPOSITORIES: Final = ("team/a", "library/b")
TAGS: Final = ("1", "2")

clients = st.integers(0, len(CLIENTS) - 1)
repositories = st.sampled_from(REPOSITORIES)
tags = st.sampled_from(TAGS)
some_documents = st.sampled_from(DOCUMENTS)
some_blobs = st.sampled_from(BLOBS)
ways = st.sampled_from(WAYS)
fuses = st.one_of(st.none(), st.none(), st.none(), st.integers(0, 25))
picks = st.integers(0, 1000)

Key = tuple[str, str]


class Histories(RuleBasedStateMachine):
    def __init__(self, registry: Registry) -> None:
        super().__init__()
        self.registry = registry
        registry.metadata.write(planting.clear)
        for area in ("layers", "uploads"):
            _empty(registry.settings.data / area)
        self.fuse = Fuse()
        self.fragile = fused(registry, self.fuse)
        self.tags: dict[Key, Document] = {}
        self.pushes: list[Push] = []
        self.promises: dict[tuple[int, str], Promises] = defaultdict(Promises)
        self.doomed: set[Key] = set()
        self.known: dict[Key, int] = {}
        self.minutes = 0

    def client(self, number: int) -> Client:
        user, agent = CLIENTS[number]
        return Client(self.fragile, user, agent)

    def new_push(self, number: int, name: str, document: Document, way: Way) -> Push:
        other = next(each for each in REPOSITORIES if each != name)
        return Push(self.client(number), name, document, way, other, self.promises[number, name])

    @contextmanager
    def maybe_crashing(self, steps: int | None) -> Iterator[None]:
        if steps is None:
            yield
            return
        try:
            with self.fuse.lit(steps):
                yield
        except Crash:
            pass

    # Pushes, whole or in part.

    @rule(number=clients, name=repositories, document=some_documents, way=ways)
    def start_a_push(self, number: int, name: str, document: Document, way: Way) -> None:
        self.pushes.append(self.new_push(number, name, document, way))

    @precondition(lambda self: any(not push.ready for push in self.pushes))
    @rule(pick=picks, steps=st.integers(1, 12), alone=st.booleans(), fuse=fuses)
    def go_on_with_a_push(self, pick: int, steps: int, alone: bool, fuse: int | None) -> None:
        """Other pushes and deletes may have run since its last step."""
        if alone:
            self.delete_all(0)
        going = [push for push in self.pushes if not push.ready]
        push = going[pick % len(going)]
        with self._gone_if_it_crashes(push, fuse):
            for _, step in zip(range(steps), push.steps, strict=False):
                step()
                self._drop_the_robbed()

    @precondition(lambda self: any(push.ready for push in self.pushes))
    @rule(pick=picks, tag=tags, alone=st.booleans(), fuse=fuses)
    def finish_a_push(self, pick: int, tag: str, alone: bool, fuse: int | None) -> None:
        """Whatever deletes ran since: what a push was told exists, or sent, its manifest can hold."""
        if alone:
            self.delete_all(0)
        ready = [push for push in self.pushes if push.ready]
        self._finish(ready[pick % len(ready)], tag, fuse)

    @rule(number=clients, name=repositories, tag=tags, document=some_documents, way=ways, fuse=fuses)
    def push(self, number: int, name: str, tag: str, document: Document, way: Way, fuse: int | None) -> None:
        push = self.new_push(number, name, document, way)
        self.pushes.append(push)
        for step in push.steps:
            step()
            self._drop_the_robbed()
        self._finish(push, tag, fuse)

    def _finish(self, push: Push, tag: str, fuse: int | None) -> None:
        """Referrers go without a tag, as signatures do."""
        key = (push.name, tag)
        self.pushes.remove(push)
        if push.document.subject:
            with self.maybe_crashing(fuse):
                self._put(push)
            return
        before = self.tags.get(key)
        with self.maybe_crashing(fuse):
            self._put(push, tag)
            self.tags[key] = push.document
        self._read_back({key: {before, push.document}}, crashed=fuse is not None)

    def _put(self, push: Push, *named: str) -> None:
        document = push.document
        there = oci_truth.stored(self.registry)[push.name]
        about = [each.digest for each in DOCUMENTS if each.subject == document and each.digest in there]
        push.use(document, [*about, *([document.digest] if named else [])])
        self._drop_the_robbed()
        push.client.puts(push.name, document, *named)
        if not named and not (document.subject and document.subject.digest in there):
            push.promises.give(document.digest)

    @contextmanager
    def _gone_if_it_crashes(self, push: Push, fuse: int | None) -> Iterator[None]:
        self.pushes.remove(push)
        with self.maybe_crashing(fuse):
            yield
            self.pushes.append(push)
            self._drop_the_robbed()

    def _drop_the_robbed(self) -> None:
        """A manifest may take what another push of the same pusher was promised: they cannot be told apart."""
        for promises in self.promises.values():
            mine = [push for push in self.pushes if push.promises is promises]
            needed = sum((push.has for push in mine), Counter[str]())
            lacking = {name for name, count in needed.items() if promises.count[name] < count}
            for push in mine:
                if lacking & set(+push.has):
                    self.pushes.remove(push)

    # Tags and deletes.

    @precondition(lambda self: self.tags)
    @rule(number=clients, pick=picks, tag=tags, fuse=fuses)
    def retag(self, number: int, pick: int, tag: str, fuse: int | None) -> None:
        """Without a question: what a tag holds can be tagged; it takes the promises of a push of this pusher."""
        (name, _), document = sorted(self.tags.items(), key=lambda item: item[0])[pick % len(self.tags)]
        push = self.new_push(number, name, document, "whole")
        self.pushes.append(push)
        self._finish(push, tag, fuse)

    @precondition(lambda self: self.tags)
    @rule(number=clients, pick=picks, fuse=fuses)
    def untag(self, number: int, pick: int, fuse: int | None) -> None:
        name, tag = sorted(self.tags)[pick % len(self.tags)]
        document = self.tags[name, tag]
        foreseen = self.client(number).foresees_untagging(name, tag)
        with self.maybe_crashing(fuse), self._adding_up() as told:
            told.append(self.client(number).untags(name, tag))
            del self.tags[name, tag]
            assert told == [foreseen]
        self._read_back({(name, tag): {document, None}}, crashed=fuse is not None)

    @rule(number=clients)
    def delete_all(self, number: int) -> None:
        """The hardest on running pushes: nothing is held but by their promises."""
        for name, tag in sorted(self.tags):
            self.client(number).untags(name, tag)
        self.tags = {}

    @precondition(lambda self: self.known)
    @rule(number=clients, pick=picks, fuse=fuses)
    def delete_a_manifest(self, number: int, pick: int, fuse: int | None) -> None:
        name, told = sorted(self.known)[pick % len(self.known)]
        document = BY_DIGEST[told]
        there = oci_truth.stored(self.registry)[name]
        listed = any(document in each.children for each in DOCUMENTS if each.digest in there)
        tags = {key: document for key, held in self.tags.items() if key[0] == name and held == document}
        self.doomed.add((name, told))
        with self.maybe_crashing(fuse), self._adding_up() as receipts:
            try:
                receipts.append(self.client(number).deletes(name, document))
            except errors.Unsupported:
                assert listed
                return
            assert not listed
            for key in tags:
                del self.tags[key]
        self._give_up(number, name, told)
        self._read_back({key: {document, None} for key in tags}, crashed=fuse is not None)

    @rule(number=clients, name=repositories, data=some_blobs, fuse=fuses)
    def delete_a_blob(self, number: int, name: str, data: bytes, fuse: int | None) -> None:
        """Only a client's own promise of it can go."""
        there = oci_truth.stored(self.registry)[name]
        held = any(data in BY_DIGEST[each].blobs for each in there)
        with self.maybe_crashing(fuse), self._adding_up() as told:
            try:
                told.append(self.client(number).deletes_blob(name, data))
            except errors.Unsupported:
                if held:
                    return
            except errors.LayerUnknown:
                assert not held
            else:
                assert not held
        self._give_up(number, name, digest(data))

    def _give_up(self, number: int, name: str, told: str) -> None:
        self.promises[number, name].lose([told])
        self._drop_the_robbed()

    @rule(number=clients, name=repositories, fuse=fuses)
    def delete_a_repository(self, number: int, name: str, fuse: int | None) -> None:
        """Promises of blobs stay; its manifests go with it, whoever was promised them."""
        tags = {key: document for key, document in self.tags.items() if key[0] == name}
        with self.maybe_crashing(fuse), self._adding_up() as told:
            try:
                told.append(self.client(number).deletes_repository(name))
            except errors.RepositoryUnknown:
                assert not tags
                return
            for key in tags:
                del self.tags[key]
        for (_, where), promises in self.promises.items():
            if where == name:
                promises.lose(list(BY_DIGEST))
        self.doomed |= {key for key in self.known if key[0] == name}
        self._drop_the_robbed()
        self._read_back({key: {document, None} for key, document in tags.items()}, crashed=fuse is not None)

    @contextmanager
    def _adding_up(self) -> Iterator[list[Receipt]]:
        """What a receipt says is free is what the disk has more."""
        before = sum(truth.files(self.registry).values())
        told: list[Receipt] = []
        yield told
        after = sum(truth.files(self.registry).values())
        assert before - after == sum(each.freed_bytes for each in told)

    # Time, and what works in the background.

    @rule(what=st.sampled_from(("work off", "check", "minutes", "promises", "days")), fuse=fuses)
    def time_passes(self, what: str, fuse: int | None) -> None:
        self.minutes += 2 if what == "minutes" else 0
        if what == "promises" or self.minutes > 20:
            passing.leases(self.registry)
            self._all_promises_end()
        elif what == "minutes":
            passing.time(self.registry, 2 * passing.MINUTE)
        elif what == "days":
            passing.everything(self.registry)
            self._all_promises_end()
            oci_truth.is_at_rest(self.registry)
        elif what == "check":
            assert fsck.run(self.registry, repair=False, digests=True).findings == []
        with self.maybe_crashing(fuse):
            reclaim.work_off(self.fragile)

    def _all_promises_end(self) -> None:
        self.pushes, self.minutes = [], 0
        for promises in self.promises.values():
            promises.count.clear()
            promises.echoes.clear()

    # What must hold.

    def _read_back(self, choices: dict[Key, set[Document | None]], *, crashed: bool) -> None:
        """After a crash a tag is either as it was or as it was to be."""
        if not crashed:
            return
        found = oci_truth.tags(self.registry)
        for key, documents in choices.items():
            (actual,) = [each for each in documents if found.get(key) == (each.digest if each else None)]
            self.tags.pop(key, None)
            if actual:
                self.tags[key] = actual

    @invariant()
    def counts_documents_and_files_hold(self) -> None:
        oci_truth.holds(self.registry)

    @invariant()
    def tags_point_where_they_should(self) -> None:
        assert oci_truth.tags(self.registry) == {key: each.digest for key, each in self.tags.items()}

    @invariant()
    def referrers_are_those_that_refer_and_stay_with_their_subject(self) -> None:
        rows = oci_truth.stored_rows(self.registry)
        for name in REPOSITORIES:
            for subject in DOCUMENTS:
                about = [each.digest for each in DOCUMENTS if each.subject == subject and (name, each.digest) in rows]
                assert self.client(0).referrers(name, subject) == sorted(about)
        for (name, told), row in self.known.items():
            about_it = BY_DIGEST[told].subject
            key = (name, about_it.digest if about_it else "")
            if (name, told) not in self.doomed and key in rows and rows[key] == self.known.get(key):
                assert rows.get((name, told)) == row
        self.known, self.doomed = rows, set()

    def teardown(self) -> None:
        passing.everything(self.registry)
        oci_truth.is_at_rest(self.registry)
        self.tags_point_where_they_should()
        client = Client(self.registry)
        assert all(client.pulled(name, tag, document) for (name, tag), document in self.tags.items())
        assert fsck.run(self.registry, repair=False, digests=True).findings == []
        for name in {name for name, _ in self.tags}:
            client.deletes_repository(name)
        assert truth.files(self.registry) == {}
        oci_truth.is_at_rest(self.registry)


def _empty(area: Path) -> None:
    shutil.rmtree(area)
    area.mkdir()
