"""Two changes at once, stopped where it hurts: what was promised holds, what nobody holds goes, and counts are right.

Each runs twice: either of the two has done everything but its commit when the other begins. On SQLite nobody begins
before the first is done, so this is about the servers.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pier_registry import errors
from pier_registry.actions import reclaim
from pier_registry.actions.registry import Registry
from tests.registry.counting import oci_truth, passing, truth
from tests.registry.counting.conftest import Place
from tests.registry.counting.oci_images import blob, image, index
from tests.registry.counting.oci_interleaving import Change, before_statement, interleaved
from tests.registry.counting.oci_pushing import Client

pytestmark = pytest.mark.parametrize("place", ["mariadb", "mysql"], indirect=True)

NAME = "team/app"
BASE = blob("base")
ONE = image("one", BASE, blob("one"))
TWO = image("two", BASE, blob("two"))
NEW = image("new", blob("new"))
NEWER = image("newer", blob("newer"))
BOTH = index("both", ONE, TWO)
NOTE = image("note", blob("note"), subject=ONE)

Errors = tuple[Exception | None, Exception | None]
AtOnce = Callable[[Change, Change], Errors]


@pytest.fixture(params=["the former stops", "the latter stops"])
def at_once(request: pytest.FixtureRequest, registry: Registry) -> AtOnce:
    """Runs two changes; returns what each raised. Afterwards everything must hold."""
    server = request.getfixturevalue(request.node.callspec.params["place"])

    def run(former: Change, latter: Change) -> Errors:
        if request.param == "the former stops":
            told = interleaved(registry, server, former, latter)
            raised = (told.first, told.second)
        else:
            told = interleaved(registry, server, latter, former)
            raised = (told.second, told.first)
        oci_truth.holds(registry)
        return raised

    return run


@pytest.fixture
def alice(registry: Registry) -> Client:
    return Client(registry)


def by(user: str, act: Callable[[Client], object]) -> Change:
    return lambda registry: act(Client(registry, user))


# Pushes and deletes.


def test_a_blob_that_is_asked_for_while_its_last_tag_goes(registry: Registry, alice: Client, at_once: AtOnce) -> None:
    alice.pushes(NAME, ONE, "1")
    answers: list[bool] = []
    at_once(by("bob", lambda bob: answers.append(bob.asks(NAME, BASE))), by("carol", lambda c: c.untags(NAME, "1")))
    if answers == [True]:
        bob = Client(registry, "bob")
        bob.brings(NAME, ONE, but=[BASE])
        bob.puts(NAME, ONE, "2")
        assert bob.pulled(NAME, "2", ONE)
    oci_truth.is_at_rest(registry)


def test_a_blob_that_is_mounted_while_its_last_tag_goes(registry: Registry, alice: Client, at_once: AtOnce) -> None:
    alice.pushes("team/source", ONE, "1")
    mounted: list[bool] = []
    at_once(
        by("bob", lambda bob: mounted.append(bob.mounts(NAME, BASE, "team/source"))),
        by("carol", lambda carol: carol.untags("team/source", "1")),
    )
    assert truth.count(registry, "layer") == len(truth.files(registry)) == mounted.count(True)
    if mounted == [True]:
        bob = Client(registry, "bob")
        bob.brings(NAME, ONE, but=[BASE])
        bob.puts(NAME, ONE, "2")
        assert bob.pulled(NAME, "2", ONE)
    oci_truth.is_at_rest(registry)


def test_a_blob_that_comes_again_while_its_last_tag_goes(registry: Registry, alice: Client, at_once: AtOnce) -> None:
    alice.pushes(NAME, ONE, "1")
    raised = at_once(by("bob", lambda bob: bob.sends(NAME, BASE)), by("carol", lambda carol: carol.untags(NAME, "1")))
    assert raised == (None, None)
    assert Client(registry, "bob").reads_blob(NAME, BASE) == BASE


def test_a_manifest_that_is_asked_for_while_its_tag_moves_on(
    registry: Registry, alice: Client, at_once: AtOnce
) -> None:
    alice.pushes(NAME, ONE, "1")
    alice.brings(NAME, NEW)
    answers: list[bool] = []
    at_once(
        by("bob", lambda bob: answers.append(bob.asks_for(NAME, ONE))),
        by("alice", lambda alice: alice.puts(NAME, NEW, "1")),
    )
    if answers == [True]:
        bob = Client(registry, "bob")
        bob.pushes(NAME, TWO)
        bob.puts(NAME, BOTH, "both")
        assert bob.pulled(NAME, "both", BOTH)
    oci_truth.is_at_rest(registry)


def test_a_manifest_that_was_promised_its_blobs_while_all_that_holds_them_goes(
    registry: Registry, alice: Client, at_once: AtOnce
) -> None:
    alice.pushes(NAME, ONE, "1")
    bob = Client(registry, "bob")
    bob.brings(NAME, ONE)
    raised = at_once(by("bob", lambda bob: bob.puts(NAME, ONE, "2")), by("carol", lambda c: c.deletes(NAME, ONE)))
    assert raised == (None, None)
    if bob.sees(NAME, ONE):
        assert bob.pulled(NAME, "2", ONE)
    oci_truth.is_at_rest(registry)


def test_two_pushes_of_one_pusher_and_a_delete_between_their_manifests(
    registry: Registry, alice: Client, at_once: AtOnce
) -> None:
    for _ in range(2):
        alice.brings(NAME, ONE)
    alice.puts(NAME, ONE, "1")
    raised = at_once(by("bob", lambda bob: bob.untags(NAME, "1")), by("alice", lambda one: one.puts(NAME, ONE, "2")))
    assert raised == (None, None)
    assert alice.pulled(NAME, "2", ONE)
    oci_truth.is_at_rest(registry)


def test_two_manifests_of_one_pusher_at_once_each_take_one_promise(
    registry: Registry, alice: Client, at_once: AtOnce
) -> None:
    for _ in range(3):
        alice.brings(NAME, ONE)
    raised = at_once(by("alice", lambda a: a.puts(NAME, ONE, "1")), by("alice", lambda a: a.puts(NAME, ONE, "2")))
    assert raised == (None, None)
    for tag in ("1", "2"):
        alice.untags(NAME, tag)
    alice.puts(NAME, ONE, "3")
    assert alice.pulled(NAME, "3", ONE)
    oci_truth.is_at_rest(registry)


def test_a_push_while_its_repository_is_deleted(registry: Registry, alice: Client, at_once: AtOnce) -> None:
    alice.pushes(NAME, TWO, "old")
    alice.brings(NAME, ONE)
    raised = at_once(by("alice", lambda a: a.puts(NAME, ONE, "1")), by("bob", lambda bob: bob.deletes_repository(NAME)))
    assert raised == (None, None)
    passing.everything(registry)
    oci_truth.is_at_rest(registry)
    assert {tag for _, tag in oci_truth.tags(registry)} <= {"1"}


# Indexes and their children.


def test_an_index_while_its_child_is_deleted(registry: Registry, alice: Client, at_once: AtOnce) -> None:
    """Either the index is refused, or the delete."""
    alice.pushes(NAME, ONE, "one")
    alice.pushes(NAME, TWO, "two")
    refused, kept = at_once(
        by("bob", lambda bob: bob.puts(NAME, BOTH, "both")), by("carol", lambda carol: carol.deletes(NAME, ONE))
    )
    assert (type(refused), type(kept)) in {(errors.BlobsMissing, type(None)), (type(None), errors.Unsupported)}
    oci_truth.is_at_rest(registry)


def test_an_index_while_its_promised_child_is_deleted(registry: Registry, alice: Client, at_once: AtOnce) -> None:
    alice.pushes(NAME, ONE)
    alice.pushes(NAME, TWO)
    refused, _ = at_once(
        by("alice", lambda a: a.puts(NAME, BOTH, "both")), by("bob", lambda bob: bob.deletes(NAME, ONE))
    )
    assert refused is None
    assert alice.pulled(NAME, "both", BOTH)
    oci_truth.is_at_rest(registry)


def test_an_index_while_its_childs_own_tag_goes(registry: Registry, alice: Client, at_once: AtOnce) -> None:
    alice.pushes(NAME, ONE, "one")
    bob = Client(registry, "bob")
    bob.pushes(NAME, TWO)
    assert bob.asks_for(NAME, ONE)
    raised = at_once(by("bob", lambda b: b.puts(NAME, BOTH, "both")), by("alice", lambda a: a.untags(NAME, "one")))
    assert raised == (None, None)
    assert bob.pulled(NAME, "both", BOTH)
    oci_truth.is_at_rest(registry)


def test_a_second_index_while_the_first_goes(registry: Registry, alice: Client, at_once: AtOnce) -> None:
    other = index("other", TWO, ONE)
    alice.pushes(NAME, BOTH, "both")
    bob = Client(registry, "bob")
    assert all(bob.asks_for(NAME, child) for child in other.children)
    raised = at_once(by("bob", lambda b: b.puts(NAME, other, "other")), by("alice", lambda a: a.untags(NAME, "both")))
    assert raised == (None, None)
    assert bob.pulled(NAME, "other", other)
    oci_truth.is_at_rest(registry)


# Referrers and their subjects.


def test_a_referrer_that_comes_while_its_subject_goes(registry: Registry, alice: Client, at_once: AtOnce) -> None:
    """It goes along, or was promised to its pusher."""
    alice.pushes(NAME, ONE, "1")
    alice.brings(NAME, NEW)
    Client(registry, "bob").brings(NAME, NOTE)
    raised = at_once(by("bob", lambda bob: bob.puts(NAME, NOTE)), by("alice", lambda a: a.puts(NAME, NEW, "1")))
    assert raised == (None, None)
    assert not alice.sees(NAME, ONE)
    passing.everything(registry)
    assert not alice.sees(NAME, NOTE)
    oci_truth.is_at_rest(registry)


def test_a_referrer_whose_tag_moves_on_while_its_subject_goes(
    registry: Registry, alice: Client, at_once: AtOnce
) -> None:
    alice.pushes(NAME, ONE, "1")
    alice.pushes(NAME, NOTE, "note")
    alice.brings(NAME, NEW)
    Client(registry, "bob").brings(NAME, NEWER)
    raised = at_once(
        by("bob", lambda bob: bob.puts(NAME, NEWER, "note")), by("alice", lambda a: a.puts(NAME, NEW, "1"))
    )
    assert raised == (None, None)
    assert not alice.sees(NAME, NOTE)
    oci_truth.is_at_rest(registry)


def test_a_referrer_whose_promise_ends_while_its_subject_goes(
    registry: Registry, alice: Client, at_once: AtOnce
) -> None:
    alice.pushes(NAME, NOTE)
    passing.leases(registry)
    carol = Client(registry, "carol")
    carol.pushes(NAME, ONE, "1")
    carol.brings(NAME, NEW)
    raised = at_once(reclaim.work_off, by("carol", lambda c: c.puts(NAME, NEW, "1")))
    assert raised == (None, None)
    reclaim.work_off(registry)
    assert not alice.sees(NAME, NOTE)
    oci_truth.is_at_rest(registry)


def test_a_subject_that_comes_while_the_promise_of_its_referrer_ends(
    registry: Registry, alice: Client, at_once: AtOnce
) -> None:
    alice.pushes(NAME, NOTE)
    passing.leases(registry)
    carol = Client(registry, "carol")
    carol.brings(NAME, ONE)
    raised = at_once(reclaim.work_off, by("carol", lambda c: c.puts(NAME, ONE, "1")))
    assert raised == (None, None)
    oci_truth.is_at_rest(registry)


# Promises that end.


def test_a_blob_that_is_asked_for_while_its_promise_ends(registry: Registry, alice: Client, at_once: AtOnce) -> None:
    alice.sends(NAME, BASE)
    passing.leases(registry)
    answers: list[bool] = []
    at_once(reclaim.work_off, by("alice", lambda again: answers.append(again.asks(NAME, BASE))))
    assert answers == [False]
    reclaim.work_off(registry)
    oci_truth.is_at_rest(registry)


def test_a_blob_that_is_sent_again_while_its_promise_ends(registry: Registry, alice: Client, at_once: AtOnce) -> None:
    alice.sends(NAME, BASE)
    passing.leases(registry)
    raised = at_once(reclaim.work_off, by("alice", lambda again: again.sends(NAME, BASE)))
    assert raised == (None, None)
    reclaim.work_off(registry)
    assert alice.reads_blob(NAME, BASE) == BASE


def test_a_manifest_that_gets_a_tag_while_its_promise_ends(registry: Registry, alice: Client, at_once: AtOnce) -> None:
    alice.pushes(NAME, ONE)
    passing.leases(registry)
    bob = Client(registry, "bob")
    bob.pushes("team/other", ONE, "1")
    for data in ONE.blobs:
        assert bob.mounts(NAME, data, "team/other")
    raised = at_once(reclaim.work_off, by("bob", lambda b: b.puts(NAME, ONE, "1")))
    assert raised == (None, None)
    assert bob.pulled(NAME, "1", ONE)
    oci_truth.is_at_rest(registry)


# Readers, who lock nothing.


@pytest.mark.parametrize("what", ["its tag is moved", "its tag is deleted", "it is deleted"])
def test_a_manifest_is_read_whole_or_not_at_all_whatever_happens_while_it_is_read(
    place: Place, registry: Registry, alice: Client, what: str
) -> None:
    other = Client(place.open(), "bob")
    acts: dict[str, Callable[[], object]] = {
        "its tag is moved": lambda: other.pushes(NAME, NEW, "1"),
        "its tag is deleted": lambda: other.untags(NAME, "1"),
        "it is deleted": lambda: other.deletes(NAME, ONE),
    }
    allowed = {ONE.body, NEW.body if what == "its tag is moved" else None}
    number, done = 0, [0]
    while done:
        number += 1
        alice.pushes(NAME, ONE, "1")
        with before_statement(registry, number, acts[what]) as done:
            read = _read(alice)
        assert read in (allowed if done else {ONE.body})
    assert number > 1


def _read(client: Client) -> bytes | None:
    try:
        return client.reads(NAME, "1")
    except errors.ManifestUnknown:
        return None
