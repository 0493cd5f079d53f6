"""Promises of v2 pushes, where pushers overlap: each was told what is there, and each can rely on it, and no longer."""

from __future__ import annotations

import pytest

from pier_registry import errors
from pier_registry.actions import reclaim
from pier_registry.actions.registry import Registry
from tests.registry.counting import oci_truth, passing, truth
from tests.registry.counting.conftest import Place
from tests.registry.counting.oci_images import blob, image, index, size
from tests.registry.counting.oci_pushing import CONTAINERD, DOCKER, Client

BASE = blob("base")
ONE = image("one", BASE, blob("one"))
TWO = image("two", BASE, blob("two"))
BOTH = index("both", ONE, TWO)
NOTE = image("note", blob("note"), subject=ONE)
NAME = "team/app"


@pytest.fixture(params=[CONTAINERD, DOCKER])
def pusher(request: pytest.FixtureRequest, registry: Registry) -> Client:
    """Two pushes of it are two parallel pushes of one client, as far as the registry can see."""
    return Client(registry, "alice", request.param)


@pytest.fixture
def deleter(registry: Registry) -> Client:
    return Client(registry, "bob")


@pytest.fixture
def docker(registry: Registry) -> Client:
    return Client(registry, "alice", DOCKER)


def promises(registry: Registry) -> list[int]:
    return sorted(row["promises"] for row in truth.rows(registry).of("lease"))


# Several pushes of one pusher.


@pytest.mark.parametrize("pushes", [2, 5])
def test_each_push_of_one_pusher_has_promises_of_its_own(
    registry: Registry, pusher: Client, deleter: Client, pushes: int
) -> None:
    for _ in range(pushes):
        pusher.brings(NAME, ONE)
    for number in range(pushes):
        pusher.puts(NAME, ONE, f"{number}")
        assert pusher.pulled(NAME, f"{number}", ONE)
        deleter.untags(NAME, f"{number}")
    assert truth.files(registry) == {}
    oci_truth.is_at_rest(registry)


def test_pushes_of_one_pusher_that_share_a_base_do_not_take_it_from_each_other(
    registry: Registry, pusher: Client, deleter: Client
) -> None:
    pusher.brings(NAME, ONE)
    pusher.brings(NAME, TWO)
    pusher.puts(NAME, ONE, "one")
    deleter.untags(NAME, "one")
    pusher.puts(NAME, TWO, "two")
    assert pusher.pulled(NAME, "two", TWO)
    oci_truth.is_at_rest(registry)


def test_a_push_that_was_left_behind_takes_nothing_from_the_next(
    registry: Registry, pusher: Client, deleter: Client
) -> None:
    pusher.brings(NAME, ONE)
    pusher.pushes(NAME, ONE, "1")
    deleter.untags(NAME, "1")
    pusher.brings(NAME, ONE)
    pusher.puts(NAME, ONE, "2")
    assert pusher.pulled(NAME, "2", ONE)
    passing.leases(registry)
    reclaim.work_off(registry)
    oci_truth.is_at_rest(registry)


def test_promises_in_one_repository_are_none_in_another(registry: Registry, pusher: Client, deleter: Client) -> None:
    pusher.brings(NAME, ONE)
    pusher.pushes("team/other", ONE, "1")
    deleter.untags("team/other", "1")
    pusher.puts(NAME, ONE, "1")
    assert pusher.pulled(NAME, "1", ONE)
    oci_truth.is_at_rest(registry)


def test_children_wait_for_the_index_of_each_push(registry: Registry, pusher: Client, deleter: Client) -> None:
    pusher.pushes(NAME, ONE)
    pusher.pushes(NAME, TWO)
    assert all(pusher.asks_for(NAME, child) for child in BOTH.children)
    for tag in ("first", "second"):
        pusher.puts(NAME, BOTH, tag)
        assert pusher.pulled(NAME, tag, BOTH)
        deleter.untags(NAME, tag)
    assert truth.files(registry) == {}
    oci_truth.is_at_rest(registry)


def test_a_child_that_others_delete_by_digest_stays_for_its_index(
    registry: Registry, pusher: Client, deleter: Client
) -> None:
    pusher.pushes(NAME, ONE)
    pusher.pushes(NAME, TWO)
    told = deleter.deletes(NAME, ONE)
    alone = [each for each in ONE.blobs if each not in TWO.blobs]  # the other child, promised too, holds the base
    assert (told.freed_bytes, told.pending_bytes) == (0, size(alone))
    pusher.puts(NAME, BOTH, "both")
    assert pusher.pulled(NAME, "both", BOTH)
    oci_truth.is_at_rest(registry)


def test_a_blob_stays_for_its_pusher_when_the_whole_repository_is_deleted(
    registry: Registry, pusher: Client, deleter: Client
) -> None:
    deleter.pushes(NAME, ONE, "old")
    pusher.brings(NAME, ONE)
    deleter.deletes_repository(NAME)
    pusher.puts(NAME, ONE, "new")
    assert pusher.pulled(NAME, "new", ONE)
    oci_truth.is_at_rest(registry)


def test_a_push_by_digest_and_then_by_tag_leaves_no_promise(registry: Registry, pusher: Client) -> None:
    pusher.pushes(NAME, ONE)
    pusher.puts(NAME, ONE, "1")
    oci_truth.is_at_rest(registry)


def test_a_referrer_that_came_first_is_its_subjects_from_then_on(
    registry: Registry, pusher: Client, deleter: Client
) -> None:
    pusher.pushes(NAME, NOTE)
    pusher.pushes(NAME, ONE, "1")
    oci_truth.is_at_rest(registry)
    assert pusher.referrers(NAME, ONE) == [NOTE.digest]
    deleter.untags(NAME, "1")
    assert truth.files(registry) == {}


def test_a_referrer_outlives_the_promise_of_its_push(registry: Registry, pusher: Client) -> None:
    pusher.pushes(NAME, NOTE)
    Client(registry, "carol").pushes(NAME, ONE, "1")
    passing.leases(registry)
    reclaim.work_off(registry)
    assert pusher.referrers(NAME, ONE) == [NOTE.digest]
    oci_truth.is_at_rest(registry)


# docker looks for what it has just sent.


def test_a_docker_that_looks_at_what_it_sent_is_promised_it_once(registry: Registry, docker: Client) -> None:
    docker.sends(NAME, BASE)
    assert docker.asks(NAME, BASE)
    assert promises(registry) == [1]
    assert docker.asks(NAME, BASE)
    assert promises(registry) == [2]


def test_a_docker_that_looks_at_what_it_mounted_is_promised_it_once(
    registry: Registry, docker: Client, deleter: Client
) -> None:
    deleter.pushes("team/base", ONE, "1")
    assert docker.mounts(NAME, BASE, "team/base")
    assert docker.asks(NAME, BASE)
    assert promises(registry) == [1]


def test_a_push_by_docker_is_freed_whole_with_its_tag(registry: Registry, docker: Client) -> None:
    for _ in range(2):
        docker.pushes(NAME, ONE, "1")
    told = docker.untags(NAME, "1")
    assert (told.freed_bytes, told.pending_bytes) == (size(ONE.blobs), 0)
    oci_truth.is_at_rest(registry)


def test_a_question_between_an_upload_and_the_look_at_it_is_promised_all_the_same(
    registry: Registry, docker: Client, deleter: Client
) -> None:
    config, *rest = ONE.blobs
    for data in rest:
        docker.sends(NAME, data)
        assert docker.asks(NAME, data)
        assert docker.asks(NAME, data)  # by the second push
    docker.sends(NAME, config)
    assert docker.asks(NAME, config)  # by the second push, before the first looks
    assert docker.asks(NAME, config)
    for tag in ("1", "2"):
        docker.puts(NAME, ONE, tag)
        assert docker.pulled(NAME, tag, ONE)
        deleter.untags(NAME, tag)
    oci_truth.is_at_rest(registry)


def test_the_look_that_never_came_is_forgotten_with_the_promise(registry: Registry, docker: Client) -> None:
    for data in ONE.blobs:
        docker.sends(NAME, data)
    docker.puts(NAME, ONE, "1")
    assert promises(registry) == []
    assert docker.asks(NAME, BASE)
    assert docker.asks(NAME, BASE)
    assert promises(registry) == [2]


def test_a_look_after_the_promise_ran_out_is_a_question(registry: Registry, docker: Client, deleter: Client) -> None:
    deleter.pushes(NAME, ONE, "1")
    docker.sends(NAME, BASE)
    passing.leases(registry)
    assert docker.asks(NAME, BASE)
    assert docker.asks(NAME, BASE)
    assert promises(registry) == [2]


def test_a_look_belongs_to_the_docker_that_sent(registry: Registry, docker: Client, deleter: Client) -> None:
    other = Client(registry, "alice", "docker/24.0.7")
    deleter.pushes(NAME, ONE, "old")
    docker.brings(NAME, ONE)
    docker.sends(NAME, BASE)
    other.brings(NAME, ONE)
    deleter.untags(NAME, "old")
    docker.puts(NAME, ONE, "1")
    deleter.untags(NAME, "1")
    other.puts(NAME, ONE, "2")
    assert other.pulled(NAME, "2", ONE)


# What waits for a while after its tag moved on.


@pytest.fixture
def graceful(place: Place) -> Registry:
    return place.open(untagged_grace=(("*", 600.0),))


def test_an_index_that_waits_keeps_all_below_it_and_takes_it_along(graceful: Registry) -> None:
    alice = Client(graceful)
    alice.pushes(NAME, BOTH, "latest")
    alice.pushes(NAME, image("new"), "latest")
    assert alice.pulled(NAME, BOTH.digest, BOTH)
    with pytest.raises(errors.Unsupported):
        alice.deletes(NAME, ONE)
    passing.time(graceful, 601)
    reclaim.work_off(graceful)
    assert not any(alice.sees(NAME, each) for each in BOTH.tree)
    oci_truth.is_at_rest(graceful)


def test_a_manifest_that_an_index_lists_needs_no_grace(graceful: Registry) -> None:
    alice = Client(graceful)
    alice.pushes(NAME, ONE, "latest")
    alice.pushes(NAME, BOTH, "both")
    alice.pushes(NAME, image("new"), "latest")
    assert promises(graceful) == []
    alice.untags(NAME, "both")
    assert not alice.sees(NAME, ONE)


def test_a_tag_that_moves_there_and_back_leaves_one_of_them_waiting(graceful: Registry) -> None:
    alice = Client(graceful)
    for document in (ONE, TWO, ONE, TWO):
        alice.pushes(NAME, document, "latest")
    assert alice.sees(NAME, ONE)
    assert promises(graceful) == [1]
    alice.untags(NAME, "latest")
    assert (alice.sees(NAME, ONE), alice.sees(NAME, TWO)) == (True, False)
    passing.time(graceful, 601)
    reclaim.work_off(graceful)
    oci_truth.is_at_rest(graceful)
    assert truth.files(graceful) == {}


def test_a_manifest_waits_once_all_its_tags_moved_at_once(graceful: Registry) -> None:
    alice = Client(graceful)
    alice.pushes(NAME, ONE, "a", "b")
    alice.pushes(NAME, TWO, "a")
    assert promises(graceful) == []
    alice.pushes(NAME, ONE, "a", "b")
    alice.pushes(NAME, TWO, "a", "b")
    assert promises(graceful) == [1]
    assert alice.sees(NAME, ONE)


def test_who_deletes_what_waits_ends_the_wait_but_no_promise(graceful: Registry) -> None:
    alice, bob = Client(graceful), Client(graceful, "bob")
    alice.pushes(NAME, ONE, "latest")
    alice.pushes(NAME, image("new"), "latest")
    assert alice.asks_for(NAME, ONE)
    bob.deletes(NAME, ONE)
    assert promises(graceful) == [1]
    alice.puts(NAME, ONE, "again")
    oci_truth.is_at_rest(graceful)


def test_referrers_wait_with_their_subject(graceful: Registry) -> None:
    alice = Client(graceful)
    alice.pushes(NAME, ONE, "latest")
    alice.pushes(NAME, NOTE)
    alice.pushes(NAME, image("new"), "latest")
    assert alice.referrers(NAME, ONE) == [NOTE.digest]
    passing.time(graceful, 601)
    reclaim.work_off(graceful)
    assert alice.referrers(NAME, ONE) == []
    oci_truth.is_at_rest(graceful)
