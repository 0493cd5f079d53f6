"""What the watches have told: a copy of registries, children and pods, so that rest costs no request."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable

from pier_operator import api, memory
from pier_operator.api import Manifest

Key = tuple[str, str]
_Place = tuple[str, str]  # kind, name


class Cache:
    """Safe for threads. An older version of an object never replaces a newer one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._registries: dict[Key, Manifest] = {}
        self._newest = 0
        self._children: defaultdict[Key, dict[_Place, Manifest]] = defaultdict(dict)

    def put(self, manifest: Manifest) -> bool:
        """Returns whether this was news. Who manages which field is left out: nothing here asks, and it is long."""
        lean = memory.lean({key: value for key, value in manifest.items() if key != "metadata"})
        lean["metadata"] = memory.lean(_without_managers(manifest["metadata"]))
        manifest = lean
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
        by_place = {(key_of(each), _place(each)): each for each in listed}
        gone = [
            each
            for key, held in self._kinds(kind)
            for each in held
            if (key, _place(each)) not in by_place and _version(each) <= since
        ]
        news = {key_of(each) for each in gone if self.drop(each)}
        return news | {key for (key, _), each in by_place.items() if self.put(each)}

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


def _without_managers(meta: Manifest) -> Manifest:
    return {key: value for key, value in meta.items() if key != "managedFields"}


def _place(manifest: Manifest) -> tuple[str, str]:
    meta = manifest["metadata"]
    if manifest["kind"] == api.PIER_REGISTRY.name:
        return meta["namespace"], meta["name"]
    return manifest["kind"], meta["name"]


def _version(manifest: Manifest) -> int:
    """Versions of one object grow; Kubernetes has promised so since 1.35, and etcd has always done it."""
    return int(manifest["metadata"].get("resourceVersion", 0))
