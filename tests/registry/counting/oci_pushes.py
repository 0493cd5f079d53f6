"""Pushes step by step, and a second account of the promises they are given, kept as the rule has them.

A question with a good answer, a mount, an upload or a manifest by digest is one promise more; a manifest takes one
back from all that it holds. The registry cannot tell two pushes of one pusher apart, nor can this.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Literal

from tests.registry.counting.oci_images import Document
from tests.registry.counting.oci_pushing import DOCKER, Client
from tests.registry.v2.documents import digest

Way = Literal["whole", "pieces", "mount"]
WAYS: Final[tuple[Way, ...]] = ("whole", "pieces", "mount")
Step = Callable[[], object]


@dataclass(slots=True)
class Promises:
    """Of one pusher in one repository: how many of each digest, and how many questions will be echoes."""

    count: Counter[str] = field(default_factory=Counter)
    echoes: Counter[str] = field(default_factory=Counter)

    def give(self, name: str, *, echo: bool = False) -> None:
        self.count[name] += 1
        self.echoes[name] += echo

    def answer(self, name: str) -> None:
        """A question that found it: another promise, unless it only echoes what the same docker has just done."""
        if self.echoes[name]:
            self.echoes[name] -= 1
        else:
            self.count[name] += 1

    def take(self, name: str) -> None:
        self.count[name] = max(0, self.count[name] - 1)
        if not self.count[name]:
            self.echoes[name] = 0

    def lose(self, names: Collection[str]) -> None:
        for name in names:
            self.count[name] = self.echoes[name] = 0


@dataclass(slots=True, eq=False)
class Push:
    """`has` what it was given and did not use yet; `ready` once only its last manifest is missing."""

    client: Client
    name: str
    document: Document
    way: Way
    source: str
    promises: Promises
    has: Counter[str] = field(default_factory=Counter)
    ready: bool = False
    steps: Iterator[Step] = field(init=False)

    def __post_init__(self) -> None:
        self.steps = self._steps()

    def _steps(self) -> Iterator[Step]:
        """What a client does until the last manifest; a step that returned is a promise."""
        done: set[bytes] = set()
        for document in self.document.tree[:-1]:
            there: list[Document] = []
            yield partial(self._ask_for, document, there)
            if not there:
                yield from self._blobs(document, done)
                yield partial(self._put_child, document)
        yield from self._blobs(self.document, done)
        yield self._be_ready

    def _blobs(self, document: Document, done: set[bytes]) -> Iterator[Step]:
        for data in document.blobs:
            if data not in done:
                done.add(data)
                yield from self._blob(data)

    def _blob(self, data: bytes) -> Iterator[Step]:
        there: list[bytes] = []
        yield partial(self._ask, data, there)
        if there:
            return
        if self.way == "mount":
            yield partial(self._mount, data, there)
        if self.way == "pieces":
            yield from self._pieces(data)
        elif not there:
            yield partial(self._send, data)
        if self.client.agent == DOCKER:
            yield partial(self._check, data)

    def _pieces(self, data: bytes) -> Iterator[Step]:
        session: list[str] = []
        half = len(data) // 2
        yield lambda: session.append(self.client.begins(self.name))
        yield lambda: self.client.appends(self.name, session[0], data[:half])
        yield lambda: self._finish(session[0], data, data[half:])

    def _finish(self, session: str, data: bytes, rest: bytes) -> None:
        self.client.finishes(self.name, session, data, rest)
        self._sent(data)

    def _ask_for(self, document: Document, there: list[Document]) -> None:
        if self.client.asks_for(self.name, document):
            self._given(document.digest)
            there.append(document)

    def _ask(self, data: bytes, there: list[bytes]) -> None:
        if self.client.asks(self.name, data):
            self.promises.answer(digest(data))
            self.has[digest(data)] += 1
            there.append(data)

    def _check(self, data: bytes) -> None:
        """docker asks for what it has just sent, and gives up when it is not there."""
        assert self.client.asks(self.name, data)
        self.promises.answer(digest(data))

    def _mount(self, data: bytes, there: list[bytes]) -> None:
        if self.client.mounts(self.name, data, self.source):
            self._sent(data)
            there.append(data)

    def _send(self, data: bytes) -> None:
        self.client.sends(self.name, data)
        self._sent(data)

    def _sent(self, data: bytes) -> None:
        self.promises.give(digest(data), echo=self.client.agent == DOCKER)
        self.has[digest(data)] += 1

    def _given(self, name: str) -> None:
        self.promises.give(name)
        self.has[name] += 1

    def _be_ready(self) -> None:
        self.ready = True

    def _put_child(self, document: Document) -> None:
        self.use(document, ())
        self.client.puts(self.name, document)
        self._given(document.digest)

    def use(self, document: Document, further: Collection[str]) -> None:
        """One promise goes of all that a manifest will hold, and of what is named further."""
        held = [*map(digest, document.blobs), *(child.digest for child in document.children), *further]
        for each in dict.fromkeys(held):
            self.promises.take(each)
            self.has[each] = max(0, self.has[each] - 1)
