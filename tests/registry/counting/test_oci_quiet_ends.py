"""Pushes that end without a word: their promises do not outlive them, and nobody else's end with them."""

from __future__ import annotations

import pytest

from pier_registry.actions.registry import Registry
from tests.registry.counting import oci_truth, passing, truth
from tests.registry.counting.oci_images import Document, blob, image, index
from tests.registry.counting.oci_pushing import CONTAINERD, SKOPEO, Client

BASE = blob("base")
ONE = image("one", BASE, blob("one"))
TWO = image("two", BASE, blob("two"))
BOTH = index("both", ONE, TWO)
NAME = "team/app"
SOON = 11


@pytest.fixture
def pusher(registry: Registry) -> Client:
    return Client(registry, "alice", CONTAINERD)


@pytest.fixture
def deleter(registry: Registry) -> Client:
    return Client(registry, "bob")


def loses_its_tag_soon_after(deleter: Client) -> None:
    """A little later than a push may end without a word."""
    passing.time(deleter.registry, SOON)
    deleter.untags(NAME, "1")


def ends_well(pusher: Client, name: str, document: Document) -> None:
    """The push, since what it was promised is still there; and then nothing is left of it."""
    pusher.puts(name, document, "1")
    assert pusher.pulled(name, "1", document)
    oci_truth.is_at_rest(pusher.registry)


@pytest.mark.parametrize("document", [ONE, BOTH], ids=["image", "index"])
def test_a_push_of_what_the_tag_holds_ends_with_a_look_at_the_tag(
    registry: Registry, pusher: Client, deleter: Client, document: Document
) -> None:
    pusher.pushes(NAME, document, "1")
    for below in document.tree[:-1]:
        assert pusher.asks_for(NAME, below)
    pusher.brings(NAME, document)
    pusher.looks_at(NAME, "1")
    loses_its_tag_soon_after(deleter)
    assert truth.files(registry) == {}


@pytest.mark.parametrize("agent", ["oras/1.3.6", SKOPEO])
def test_a_look_of_others_ends_nothing(registry: Registry, deleter: Client, agent: str) -> None:
    pusher = Client(registry, "alice", agent)
    pusher.pushes(NAME, ONE, "1")
    pusher.brings(NAME, ONE)
    pusher.looks_at(NAME, "1")
    loses_its_tag_soon_after(deleter)
    ends_well(pusher, NAME, ONE)


def test_a_look_at_a_tag_that_holds_less_than_was_asked_for_ends_nothing(
    registry: Registry, pusher: Client, deleter: Client
) -> None:
    pusher.pushes(NAME, ONE, "1")
    pusher.brings(NAME, TWO)
    pusher.looks_at(NAME, "1")
    loses_its_tag_soon_after(deleter)
    ends_well(pusher, NAME, TWO)


def test_a_look_while_more_comes_ends_nothing(registry: Registry, pusher: Client, deleter: Client) -> None:
    pusher.pushes(NAME, ONE, "1")
    assert pusher.asks(NAME, BASE)
    begun = pusher.begins(NAME)
    pusher.looks_at(NAME, "1")
    loses_its_tag_soon_after(deleter)
    pusher.finishes(NAME, begun, blob("two"), rest=blob("two"))
    pusher.brings(NAME, TWO, but=[BASE, blob("two")])
    ends_well(pusher, NAME, TWO)


def test_who_goes_on_after_the_look_has_all_the_time_again(registry: Registry, pusher: Client, deleter: Client) -> None:
    pusher.pushes(NAME, ONE, "1")
    assert pusher.asks(NAME, BASE)
    pusher.looks_at(NAME, "1")
    pusher.sends(NAME, blob("two"))
    loses_its_tag_soon_after(deleter)
    pusher.brings(NAME, TWO, but=[BASE, blob("two")])
    ends_well(pusher, NAME, TWO)


def test_a_look_ends_nothing_of_another_pusher(registry: Registry, pusher: Client, deleter: Client) -> None:
    other = Client(registry, "carol", CONTAINERD)
    other.pushes(NAME, ONE, "1")
    other.brings(NAME, ONE)
    pusher.looks_at(NAME, "1")
    loses_its_tag_soon_after(deleter)
    ends_well(other, NAME, ONE)


def test_a_question_that_led_to_a_mount_is_answered_by_it(registry: Registry, deleter: Client) -> None:
    skopeo = Client(registry, "alice", SKOPEO)
    deleter.pushes("team/base", ONE, "1")
    for data in ONE.blobs:
        assert skopeo.asks("team/base", data)
        assert skopeo.mounts(NAME, data, "team/base")
    skopeo.puts(NAME, ONE, "1")
    oci_truth.is_at_rest(registry)
    deleter.untags("team/base", "1")
    deleter.untags(NAME, "1")
    assert truth.files(registry) == {}


def test_a_mount_takes_back_one_question_only(registry: Registry, deleter: Client) -> None:
    skopeo = Client(registry, "alice", SKOPEO)
    deleter.pushes("team/base", ONE, "1")
    skopeo.brings("team/base", ONE)
    for data in ONE.blobs:
        assert skopeo.asks("team/base", data)
        assert skopeo.mounts(NAME, data, "team/base")
    skopeo.puts(NAME, ONE, "1")
    deleter.untags("team/base", "1")
    deleter.untags(NAME, "1")
    ends_well(skopeo, "team/base", ONE)


def test_a_mount_by_others_takes_nothing_back(registry: Registry, pusher: Client, deleter: Client) -> None:
    deleter.pushes("team/base", ONE, "1")
    pusher.brings("team/base", ONE)
    for data in ONE.blobs:
        assert pusher.mounts(NAME, data, "team/base")
    pusher.puts(NAME, ONE, "1")
    deleter.untags("team/base", "1")
    deleter.untags(NAME, "1")
    ends_well(pusher, "team/base", ONE)
