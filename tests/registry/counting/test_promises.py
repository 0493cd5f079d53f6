"""What a push is told exists, or sends, stays until its tag holds it, its session ends or the promise runs out."""

from __future__ import annotations

import pytest

from pier_registry import errors
from pier_registry.actions import reclaim
from pier_registry.actions.registry import Registry
from pier_registry.metadata import leases
from tests.registry.counting import passing, truth
from tests.registry.counting.conftest import Place
from tests.registry.counting.pushing import Client, Image, chain, content, held, image


def promises(registry: Registry) -> list[int]:
    return [row["promises"] for row in truth.rows(registry).of("lease")]


@pytest.mark.parametrize("place", ["sqlite", "mariadb", "mysql"], indirect=True)
def test_what_a_push_is_told_exists_can_be_tagged_after_its_last_tag_is_deleted(
    registry: Registry, alice: Client
) -> None:
    top = chain("root", "base", "top")
    alice.push("team/app", "old", top)
    alice.begin("team/app", top)
    assert all(alice.told_there(one) for one in reversed(top.chain))
    assert alice.delete("team/app", "old").freed_bytes == len(top.config)
    alice.tag("team/app", "new", top)
    alice.end("team/app")
    assert alice.pulled(top) == content(top)
    truth.is_at_rest(registry)


def test_a_base_that_a_push_is_told_exists_holds_for_the_child_it_sends(registry: Registry, alice: Client) -> None:
    base = chain("root", "base")
    alice.push("team/base", "latest", base)
    top = image("top", base)
    alice.begin("team/app", top)
    assert [alice.told_there(one) for one in reversed(top.chain)] == [True, True, False]
    alice.delete_repository("team/base")
    alice.send(top)
    alice.tag("team/app", "latest", top)
    alice.end("team/app")
    assert alice.pulled(top) == content(top)
    truth.is_at_rest(registry)


def test_an_image_that_is_refused_as_existing_can_be_tagged_after_a_delete(registry: Registry, alice: Client) -> None:
    """Another push completed it between this one's question and its answer: the client skips it and tags."""
    top = chain("base", "top")
    other = Client(registry, "other")
    alice.begin("team/app", top)
    assert not alice.told_there(top.chain[1])
    other.push("team/other", "latest", top)
    for one in reversed(top.chain):
        with pytest.raises(errors.ImageExists):
            alice.send_json(one)
    other.delete("team/other", "latest")
    alice.tag("team/app", "latest", top)
    alice.end("team/app")
    assert alice.pulled(top) == content(top)
    truth.is_at_rest(registry)


def test_a_question_outside_a_push_promises_nothing(registry: Registry, alice: Client) -> None:
    top = image("top")
    alice.push("team/app", "latest", top)
    assert alice.told_there(top)
    assert promises(registry) == []
    assert alice.delete("team/app", "latest").freed_bytes == held(top)


def test_a_question_after_an_image_that_was_not_announced_promises_nothing(registry: Registry, alice: Client) -> None:
    top = image("top")
    alice.push("team/app", "latest", top)
    alice.begin("team/app", image("other"))
    assert alice.told_there(top)
    assert promises(registry) == []


def test_a_push_leaves_no_promise_behind(registry: Registry, alice: Client) -> None:
    base = chain("root", "base")
    alice.push("team/app", "1", image("one", base))
    alice.push("team/app", "2", image("two", base))
    alice.push("team/app", "2", image("three", base))
    truth.is_at_rest(registry)


def test_an_image_without_a_session_is_promised_to_its_sender_until_tagged(registry: Registry, alice: Client) -> None:
    top = chain("base", "top")
    for one in reversed(top.chain):
        alice.send(one)
    assert promises(registry) == [1, 1]
    alice.tag("team/app", "latest", top)
    truth.is_at_rest(registry)


@pytest.mark.parametrize("place", ["sqlite", "mariadb", "mysql"], indirect=True)
def test_a_push_of_many_tags_keeps_what_they_share_until_the_last_one(registry: Registry, alice: Client) -> None:
    base = image("base")
    tops = [image(f"top {number}", base) for number in range(3)]
    alice.begin("team/app", *tops, tags=3)
    for number, top in enumerate(tops):
        alice.send_missing(top)
        alice.tag("team/app", f"{number}", top)
        alice.delete("team/app", f"{number}")
        assert alice.told_there(base)
    alice.end("team/app")
    truth.is_at_rest(registry)
    assert truth.files(registry) == {}


def test_the_end_of_a_push_drops_promises_and_what_only_they_held(registry: Registry, alice: Client) -> None:
    top = chain("base", "top")
    alice.push("team/app", "latest", top)
    alice.begin("team/app", top)
    assert all(alice.told_there(one) for one in top.chain)
    alice.delete("team/app", "latest")
    alice.end("team/app")
    assert truth.files(registry) == {}
    truth.is_at_rest(registry)


def test_the_end_of_a_push_frees_what_it_sent_and_never_tagged(registry: Registry, alice: Client) -> None:
    top = chain("base", "top")
    alice.begin("team/app", top)
    alice.send_missing(top)
    alice.end("team/app")
    assert truth.files(registry) == {}
    truth.is_at_rest(registry)


def test_the_end_of_one_push_keeps_the_promises_of_another_client(registry: Registry, alice: Client) -> None:
    top = chain("base", "top")
    other = Client(registry, "alice", agent="docker/1.6.0")
    alice.push("team/app", "latest", top)
    for client in (alice, other):
        client.begin("team/app", top)
        assert all(client.told_there(one) for one in top.chain)
    alice.delete("team/app", "latest")
    alice.end("team/app")
    other.tag("team/app", "latest", top)
    other.end("team/app")
    assert alice.pulled(top) == content(top)
    truth.is_at_rest(registry)


@pytest.mark.parametrize("first", [0, 1], ids=["the older ends first", "the younger ends first"])
def test_the_end_of_one_push_keeps_what_another_of_the_same_client_was_told(
    registry: Registry, alice: Client, first: int
) -> None:
    base = image("base")
    tops = [image(f"top {number}", image(f"middle {number}", base)) for number in range(2)]
    for number, top in enumerate(tops):
        alice.push("team/old", f"{number}", top.chain[1])
    for top in tops:
        alice.begin("team/app", top)
        assert all(alice.told_there(one) for one in top.chain[1:])
    alice.delete_repository("team/old")
    for top in (tops[first], tops[1 - first]):
        alice.send(top)
        alice.tag("team/app", "latest", top)
        alice.end("team/app")
        assert alice.pulled(top) == content(top)
        alice.delete("team/app", "latest")
    assert truth.files(registry) == {}
    truth.is_at_rest(registry)


def test_a_client_that_ends_one_of_two_pushes_may_go_on_asking_for_the_other(registry: Registry, alice: Client) -> None:
    base = image("base")
    older, younger = image("older", base), image("younger")
    alice.push("team/old", "latest", base)
    alice.begin("team/app", older)
    alice.push("team/app", "younger", younger)
    assert alice.told_there(base)
    alice.delete("team/old", "latest")
    alice.send(older)
    alice.tag("team/app", "older", older)
    alice.end("team/app")
    assert alice.pulled(older) == content(older)
    truth.is_at_rest(registry)


def test_a_push_that_was_left_behind_does_not_use_up_the_sessions_of_its_user(place: Place) -> None:
    alice = Client(place.open(max_sessions=3))
    alice.begin("team/app", image("never sent"))
    for number in range(8):
        alice.push("team/app", "latest", image(f"top {number}"))


def test_a_session_that_is_never_closed_ends_after_a_day_however_busy_its_client_is(
    registry: Registry, alice: Client
) -> None:
    alice.begin("team/app", image("never sent"))
    for number in range(26):
        passing.time(registry, passing.HOUR)
        alice.push("team/app", "latest", image(f"top {number}"))
        reclaim.work_off(registry)
    assert truth.count(registry, "push_session") == 0


def test_a_push_that_is_repeated_after_a_failure_leaves_no_promise_behind(registry: Registry, alice: Client) -> None:
    """Else a delete would free nothing for as long as the failed push counts as open."""
    top = chain("base", "top")
    alice.begin("team/app", top)
    alice.send(top.chain[1])
    alice.push("team/app", "latest", top)
    truth.is_at_rest(registry)
    assert alice.delete("team/app", "latest").freed_bytes == held(top)


def test_a_question_asked_twice_ends_with_the_push(registry: Registry, alice: Client) -> None:
    top = chain("base", "top")
    alice.push("team/app", "latest", top)
    alice.begin("team/app", top)
    for _ in range(3):
        assert all(alice.told_there(one) for one in top.chain)
    alice.tag("team/app", "latest", top)
    alice.end("team/app")
    truth.is_at_rest(registry)


@pytest.mark.parametrize("place", ["sqlite", "mariadb", "mysql"], indirect=True)
def test_a_promise_that_ran_out_is_reaped_with_rows_and_files(registry: Registry, alice: Client) -> None:
    top = chain("base", "top")
    alice.begin("team/app", top)
    alice.send_missing(top)
    reclaim.work_off(registry)
    assert truth.count(registry, "image") == 2
    passing.leases(registry)
    reclaim.work_off(registry)
    assert (truth.files(registry), truth.count(registry, "image"), truth.count(registry, "layer")) == ({}, 0, 0)
    truth.is_at_rest(registry)


def test_a_promise_that_ran_out_holds_nothing_when_the_last_tag_goes(registry: Registry, alice: Client) -> None:
    top = chain("base", "top")
    alice.push("team/app", "latest", top)
    alice.begin("team/app", top)
    assert all(alice.told_there(one) for one in top.chain)
    passing.leases(registry)
    told = alice.delete("team/app", "latest")
    assert (told.freed_bytes, told.pending_bytes) == (held(top), 0)
    truth.is_at_rest(registry)


def test_a_promise_given_after_one_ran_out_is_counted_anew(registry: Registry, alice: Client) -> None:
    top = image("top")
    alice.push("team/app", "latest", top)
    alice.begin("team/app", top)
    assert alice.told_there(top)
    passing.leases(registry)
    assert alice.told_there(top)
    assert promises(registry) == [1]


def test_an_image_is_kept_while_one_of_two_promises_lives(registry: Registry, alice: Client, bob: Client) -> None:
    top = image("top")
    alice.push("team/app", "latest", top)
    alice.begin("team/app", top)
    assert alice.told_there(top)
    passing.leases(registry)
    bob.begin("team/app", top)
    assert bob.told_there(top)
    alice.delete("team/app", "latest")
    reclaim.work_off(registry)
    bob.tag("team/app", "latest", top)
    bob.end("team/app")
    assert bob.pulled(top) == content(top)
    truth.is_at_rest(registry)


@pytest.mark.parametrize("seconds", [0.3])
def test_a_short_promise_ends_by_the_databases_clock(place: Place, seconds: float) -> None:
    registry = place.open(lease=seconds)
    alice = Client(registry)
    top = image("top")
    alice.begin("team/app", top)
    alice.send_missing(top)
    reclaimer = reclaim.Reclaimer(registry)
    reclaimer.start()
    try:
        for _ in range(100):
            if not truth.files(registry):
                break
            passing.wait(0.1)
    finally:
        reclaimer.stop()
    truth.is_at_rest(registry)


def test_a_push_that_goes_on_keeps_its_promises(registry: Registry, alice: Client) -> None:
    """Every write of the pusher renews what is past half of its life."""
    base, others = image("base"), [image(f"part {number}") for number in range(4)]
    top = chain("top", base=base)
    alice.begin("team/app", top, *others)
    alice.send(base)
    for other in others:
        passing.time(registry, registry.settings.lease * 0.7)
        alice.send(other)
        reclaim.work_off(registry)
    alice.send(top)
    alice.tag("team/app", "latest", top)
    alice.end("team/app")
    assert alice.pulled(top) == content(top)
    truth.is_at_rest(registry)


def test_a_promise_is_renewed_for_a_day_at_most(registry: Registry, alice: Client) -> None:
    base = image("base")
    alice.begin("team/app", base, image("other"))
    alice.send(base)
    for _ in range(36):
        passing.time(registry, registry.settings.lease * 0.7)
        alice.send_json(image("other"))
    passing.time(registry, registry.settings.lease)
    reclaim.work_off(registry)
    assert truth.count(registry, "image") == 0


def test_a_tag_takes_one_promise_back_from_all_that_it_holds(registry: Registry, alice: Client) -> None:
    base = image("base")
    one = image("one", base)
    alice.begin("team/app", one, tags=2)
    alice.send_missing(one)
    assert promises(registry) == [2, 2]
    alice.tag("team/app", "1", one)
    assert promises(registry) == [1, 1]
    alice.tag("team/app", "2", one)
    assert promises(registry) == []
    alice.end("team/app")
    truth.is_at_rest(registry)


def test_an_idle_session_ends_and_a_new_one_may_begin(place: Place) -> None:
    registry = place.open(max_sessions=2)
    alice = Client(registry)
    tops: list[Image] = [image(f"{number}") for number in range(3)]
    alice.begin("team/app", tops[0])
    alice.begin("team/app", tops[1])
    with pytest.raises(errors.TooManyRequests, match="PIER_MAX_SESSIONS"):
        alice.begin("team/app", tops[2])
    passing.time(registry, registry.settings.upload_timeout + 1)
    reclaim.work_off(registry)
    alice.push("team/app", "latest", tops[2])
    truth.is_at_rest(registry)


def test_a_promise_is_never_renewed_once_it_ran_out(registry: Registry, alice: Client) -> None:
    top = image("top")
    alice.begin("team/app", top)
    alice.send(top)
    passing.leases(registry)
    registry.metadata.write(lambda tx: leases.renew(tx, "team/app", alice.caller.pusher, life=10**9))
    reclaim.work_off(registry)
    assert truth.count(registry, "image") == 0
