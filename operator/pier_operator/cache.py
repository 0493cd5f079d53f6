"""What the watches have told: a copy of registries, children and pods, so that rest costs no request."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable
from typing import Protocol

from pier_operator import api, memory
from pier_operator.api import Manifest

Key = tuple[str, str]
Mark = tuple[str, str]  # uid and version of an object; no version when it is gone
_Place = tuple[str, str]  # kind, name


class Listener(Protocol):
    """Who is told of news, and that some have turned out to be none."""

    def changed(self, key: Key, mark: Mark, edited: bool) -> None: ...

    def withdraw(self, key: Key, mark: Mark) -> None: ...


class Cache:
    """Safe for threads. An older version of an object never replaces a newer one."""

    def __init__(self, listener: Listener | None = None) -> None:
        self._listener = listener
        self._lock = threading.RLock()  # held while the listener is told, so that news and answers never cross
        self._registries: dict[Key, Manifest] = {}
        self._newest = 0
        self._children: defaultdict[Key, dict[_Place, Manifest]] = defaultdict(dict)

    def told(self, manifest: Manifest, gone: bool) -> None:
        """What a watch says. The listener hears of it when it is news."""
        edited = manifest["kind"] == api.PIER_REGISTRY.name
        with self._lock:
            news = self.drop(manifest) if gone else self.put(manifest)
            if self._listener and (news or (gone and edited)):
                self._listener.changed(key_of(manifest), _mark(manifest, gone), edited)

    def wrote(self, answer: Manifest) -> None:
        """What a write of our own has made. It is no news, though the watch may have told of it first."""
        with self._lock:
            self.put(answer)
            self._withdraw(answer, gone=False)

    def removed(self, manifest: Manifest) -> None:
        """As `wrote`, of an object that we have deleted."""
        with self._lock:
            self.drop(manifest)
            self._withdraw(manifest, gone=True)

    def put(self, manifest: Manifest) -> bool:
        """Returns whether this was news. What nothing here asks for is left out."""
        manifest = memory.lean(manifest)
        with self._lock:
            held = self._shelf(manifest)
            place = _place(manifest)
            known = held.get(place)
            if known and _version(known) >= _version(manifest):
                return False
            held[place] = manifest
            self._newest = max(self._newest, _version(manifest))
            return True

    def drop(self, manifest: Manifest) -> bool:
        """Forget an object, unless another of its name has taken its place."""
        with self._lock:
            held = self._shelf(manifest)
            known = held.get(_place(manifest))
            if known is None or known["metadata"]["uid"] != manifest["metadata"]["uid"]:
                return False
            del held[_place(manifest)]
            return True

    def replace(self, kind: str, listed: Iterable[Manifest], since: int) -> set[Key]:
        """Take a fresh list of a kind, begun at version `since`; returns the registries that it holds news for."""
        news: set[Key] = set()
        there: set[tuple[Key, _Place]] = set()
        for each in listed:
            there.add((key_of(each), _place(each)))
            if self.put(each):
                news.add(key_of(each))
        gone = [
            each
            for key, held in self._kinds(kind)
            for each in held
            if (key, _place(each)) not in there and _version(each) <= since
        ]
        return news | {key_of(each) for each in gone if self.drop(each)}

    def newest(self) -> int:
        """The latest version that has been seen; a list asked for now is no older."""
        with self._lock:
            return self._newest

    def children(self, key: Key) -> dict[_Place, Manifest]:
        with self._lock:
            return dict(self._children.get(key, {}))

    def registries(self) -> list[Manifest]:
        with self._lock:
            return list(self._registries.values())

    def forget(self, key: Key) -> None:
        """A registry that is gone; what it has left behind is still known."""
        with self._lock:
            self._registries.pop(key, None)

    def _withdraw(self, manifest: Manifest, *, gone: bool) -> None:
        if self._listener:
            self._listener.withdraw(key_of(manifest), _mark(manifest, gone))

    def _kinds(self, kind: str) -> list[tuple[Key, list[Manifest]]]:
        with self._lock:
            shelves: list[tuple[Key, list[Manifest]]] = [
                (key, [each for place, each in held.items() if place[0] == kind])
                for key, held in self._children.items()
            ]
            if kind == api.PIER_REGISTRY.name:
                shelves += [(key, [each]) for key, each in self._registries.items()]
            return shelves

    def _shelf(self, manifest: Manifest) -> dict[_Place, Manifest] | dict[Key, Manifest]:
        if manifest["kind"] == api.PIER_REGISTRY.name:
            return self._registries
        return self._children[key_of(manifest)]


def key_of(manifest: Manifest) -> Key:
    """Namespace and name of the registry that an object is, or belongs to."""
    meta = manifest["metadata"]
    if manifest["kind"] == api.PIER_REGISTRY.name:
        return meta["namespace"], meta["name"]
    return meta["namespace"], api.labels_of(manifest).get(api.REGISTRY, "")


def _mark(manifest: Manifest, gone: bool) -> Mark:
    meta = manifest["metadata"]
    return meta["uid"], "" if gone else meta["resourceVersion"]


def _place(manifest: Manifest) -> tuple[str, str]:
    meta = manifest["metadata"]
    if manifest["kind"] == api.PIER_REGISTRY.name:
        return meta["namespace"], meta["name"]
    return manifest["kind"], meta["name"]


def _version(manifest: Manifest) -> int:
    """Versions of one object grow; Kubernetes has promised so since 1.35, and etcd has always done it."""
    return int(manifest["metadata"].get("resourceVersion", 0))
