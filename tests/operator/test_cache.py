"""What the watches have told, and what of it is news."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from pier_operator.api import Manifest
from pier_operator.cache import Cache, Key, Mark
from tests.operator.planning import resource

KEY = ("team", "pier")


@dataclass(slots=True)
class Listener:
    """Remembers what it has to look at."""

    owed: dict[Mark, bool] = field(default_factory=dict)

    def changed(self, key: Key, mark: Mark, edited: bool) -> None:
        assert key == KEY
        self.owed[mark] = edited

    def withdraw(self, key: Key, mark: Mark) -> None:
        assert key == KEY
        self.owed.pop(mark, None)


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
def cache(listener: Listener) -> Cache:
    return Cache(listener)


def _child(version: int, kind: str = "Secret", **more: object) -> Manifest:
    labels = {"registry.pier.dev/registry": "pier"}
    meta = {"name": "pier-tls", "namespace": "team", "uid": "child", "resourceVersion": str(version), "labels": labels}
    return {"apiVersion": "v1", "kind": kind, "metadata": meta, **more}


def _resource(version: int, name: str = "pier", uid: str = "resource") -> Manifest:
    made = resource()
    made["metadata"] |= {"resourceVersion": str(version), "name": name, "uid": uid}
    return made


def test_an_echo_is_no_news_whether_it_comes_before_the_answer_or_after(cache: Cache, listener: Listener) -> None:
    cache.told(_child(20), gone=False)
    cache.wrote(_child(20))
    cache.wrote(_child(21))
    cache.told(_child(21), gone=False)
    cache.told(_child(21), gone=True)
    cache.removed(_child(21))
    assert listener.owed == {}


def test_what_others_write_meanwhile_is_news(cache: Cache, listener: Listener) -> None:
    cache.told(_child(20), gone=False)
    cache.told(_child(21), gone=False)
    cache.wrote(_child(21))
    cache.told(_resource(22), gone=False)
    assert listener.owed == {("child", "20"): False, ("resource", "22"): True}


def test_the_end_of_a_registry_is_news_though_nothing_was_known_of_it(cache: Cache, listener: Listener) -> None:
    cache.told(_child(20), gone=True)
    cache.told(_resource(21), gone=True)
    assert listener.owed == {("resource", ""): True}


def test_an_older_version_never_replaces_a_newer_one(cache: Cache) -> None:
    new = _resource(20)
    assert cache.put(new)
    assert not cache.put(_resource(9))
    assert not cache.put(new)
    assert cache.registries() == [new]


def test_the_deletion_of_an_earlier_object_does_not_touch_the_one_of_now(cache: Cache) -> None:
    held = _resource(20)
    cache.put(held)
    assert not cache.drop(_resource(30, uid="earlier"))
    assert cache.registries() == [held]


def test_a_fresh_list_brings_what_a_watch_has_missed(cache: Cache) -> None:
    cache.put(_resource(5, "gone"))
    since = cache.newest()
    cache.put(_resource(50, "later"))
    listed = iter([_resource(6, "new"), _resource(6, "new")])  # as from a list that began anew
    assert cache.replace("PierRegistry", listed, since) == {("team", "gone"), ("team", "new")}
    assert {each["metadata"]["name"] for each in cache.registries()} == {"new", "later"}


def test_what_nothing_asks_for_is_not_kept(cache: Cache) -> None:
    pod = _child(20, "Pod", spec={"containers": []}, status={"podIP": "192.0.2.1"})
    pod["metadata"] |= {
        "managedFields": [{"manager": "kubelet"}],
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "theirs": "yes"},
    }
    cache.put(pod)
    held = cache.children(KEY)["Pod", "pier-tls"]
    assert held["status"] == {"podIP": "192.0.2.1"}
    assert held["metadata"]["annotations"] == {"theirs": "yes"}
    assert not {"spec", "managedFields"} & (held.keys() | held["metadata"].keys())
    assert "spec" in pod
