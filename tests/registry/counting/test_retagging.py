"""A tag that moves: the new is counted before the old is released."""

from __future__ import annotations

import pytest

from pier_registry import errors
from pier_registry.actions.registry import Registry
from tests.registry.counting import truth
from tests.registry.counting.conftest import Place
from tests.registry.counting.planting import plant
from tests.registry.counting.pushing import Client, chain, content, held, image, size


@pytest.mark.parametrize("place", ["sqlite", "mariadb", "mysql"], indirect=True)
def test_a_retag_keeps_the_base_that_old_and_new_share(registry: Registry, alice: Client) -> None:
    base = image("base")
    old, new = image("old", base), image("new", base)
    alice.push("team/app", "latest", old)
    alice.push("team/app", "latest", new)
    assert alice.pulled(new) == content(new)
    assert not alice.told_there(old)
    truth.is_at_rest(registry)


def test_a_retag_frees_what_only_the_old_image_held(registry: Registry, alice: Client) -> None:
    base = chain("root", "middle")
    old, new = chain("old 1", "old 2", base=base), image("new", base)
    alice.push("team/app", "latest", old)
    told = alice.push("team/app", "latest", new)
    assert (told.freed_bytes, told.pending_bytes) == (size(*old.chain[:2]) + len(old.config), 0)
    assert set(told.images) == {one.id for one in old.chain[:2]}
    assert truth.count(registry, "layer") == 3 + 1  # with the config


def test_a_retag_to_the_same_image_changes_nothing(registry: Registry, alice: Client) -> None:
    top = chain("base", "top")
    alice.push("team/app", "latest", top)
    assert alice.push("team/app", "latest", top).freed_bytes == 0
    assert alice.pulled(top) == content(top)
    truth.is_at_rest(registry)


def test_a_retag_to_its_own_parent_keeps_the_parent(registry: Registry, alice: Client) -> None:
    base = image("base")
    top = image("top", base)
    alice.push("team/app", "latest", top)
    told = alice.tag("team/app", "latest", base)
    assert told.images == (top.id,)
    assert alice.pulled(base) == content(base)
    truth.is_at_rest(registry)


def test_a_retag_to_a_child_keeps_the_whole_chain(registry: Registry, alice: Client) -> None:
    base = image("base")
    alice.push("team/app", "latest", base)
    top = image("top", base)
    assert alice.push("team/app", "latest", top).images == ()
    assert alice.pulled(top) == content(top)
    truth.is_at_rest(registry)


def test_a_retag_to_an_image_with_the_same_layer_keeps_the_file(registry: Registry, alice: Client) -> None:
    old, new = image("old", layer="same"), image("new", layer="same")
    alice.push("team/app", "latest", old)
    told = alice.push("team/app", "latest", new)
    assert (told.images, told.freed_bytes) == ((old.id,), len(old.config))
    assert alice.pulled(new) == content(new)
    truth.is_at_rest(registry)


def test_a_retag_that_is_refused_leaves_the_tag_where_it_was(registry: Registry, alice: Client) -> None:
    old = chain("base", "old")
    alice.push("team/app", "latest", old)
    with pytest.raises(errors.ImageUnknown):
        alice.tag("team/app", "latest", image("never sent"))
    assert truth.tags(registry) == {("team/app", "latest"): old.id}
    truth.is_at_rest(registry)


def test_a_tag_of_a_missing_image_is_refused(registry: Registry, alice: Client) -> None:
    with pytest.raises(errors.ImageUnknown):
        alice.tag("team/app", "latest", image("never sent"))
    assert truth.count(registry, "repository") == 0


def test_a_tag_of_an_image_without_its_checksum_is_refused(registry: Registry, alice: Client) -> None:
    top = image("top")
    alice.send_json(top)
    alice.send_layer(top)
    with pytest.raises(errors.ImageUnknown):
        alice.tag("team/app", "latest", top)
    alice.send_checksum(top)
    alice.tag("team/app", "latest", top)
    truth.is_at_rest(registry)


def test_a_tag_of_a_deleted_image_is_refused_and_can_be_pushed_again(registry: Registry, alice: Client) -> None:
    top = chain("base", "top")
    alice.push("team/app", "latest", top)
    alice.delete("team/app", "latest")
    with pytest.raises(errors.ImageUnknown):
        alice.tag("team/app", "latest", top)
    alice.push("team/app", "latest", top)
    assert alice.pulled(top) == content(top)
    truth.is_at_rest(registry)


def test_an_image_whose_parent_is_not_complete_cannot_be_completed(registry: Registry, alice: Client) -> None:
    base = image("base")
    top = image("top", base)
    alice.send_json(base)
    alice.send_json(top)
    alice.send_layer(top)
    with pytest.raises(errors.ImageJsonInvalid, match="non existing parent"):
        alice.send_checksum(top)
    alice.send(base)
    alice.send_checksum(top)
    alice.tag("team/app", "latest", top)
    truth.is_at_rest(registry)


def test_a_full_chain_is_taken_and_one_more_image_is_refused(registry: Registry, alice: Client) -> None:
    top = chain(*(f"layer {number}" for number in range(registry.settings.max_chain)))
    plant(registry, "team/parent", {"latest": top.chain[1]})
    alice.begin("team/app", top)
    alice.send(top)
    alice.tag("team/app", "deep", top)
    alice.end("team/app")
    alice.delete("team/parent", "latest")
    with pytest.raises(errors.LimitExceeded, match="PIER_MAX_CHAIN"):
        alice.send_json(image("one more", top))
    assert alice.delete("team/app", "deep").freed_bytes == held(top)
    truth.is_at_rest(registry)


def test_a_chain_over_the_limit_is_refused_while_its_parents_wait(place: Place) -> None:
    alice = Client(place.open(max_chain=3))
    top = chain("1", "2", "3", "4")
    for one in reversed(top.chain[1:]):
        alice.send_json(one)
    with pytest.raises(errors.LimitExceeded):
        alice.send_json(top)


@pytest.mark.parametrize("place", ["sqlite", "mariadb", "mysql"], indirect=True)
def test_names_are_told_apart_byte_for_byte(registry: Registry, alice: Client) -> None:
    images = {tag: image(tag) for tag in ("v1", "V1", "v1.", "v1_", "v1-")}
    for tag, one in images.items():
        alice.push("team/app", tag, one)
    assert truth.tags(registry) == {("team/app", tag): one.id for tag, one in images.items()}
    for tag, one in images.items():
        assert alice.delete("team/app", tag).images == (one.id,)
    truth.is_at_rest(registry)
