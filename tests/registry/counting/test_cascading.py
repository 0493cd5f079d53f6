"""A delete: what only the tag held goes, down to the first thing that something else holds."""

from __future__ import annotations

import pytest

from pier_registry import errors
from pier_registry.actions import reclaim
from pier_registry.actions.registry import Registry
from tests.registry.counting import truth
from tests.registry.counting.conftest import Place
from tests.registry.counting.pushing import Client, chain, content, held, image


@pytest.mark.parametrize("place", ["sqlite", "mariadb", "mysql"], indirect=True)
def test_a_delete_cascades_down_the_whole_chain(registry: Registry, alice: Client) -> None:
    top = chain("root", "middle", "top")
    alice.push("team/app", "latest", top)
    told = alice.delete("team/app", "latest")
    assert told.images == tuple(one.id for one in top.chain)
    assert told.freed_bytes == held(top)
    assert (truth.files(registry), truth.count(registry, "repository")) == ({}, 0)
    truth.is_at_rest(registry)


@pytest.mark.parametrize("place", ["sqlite", "mariadb", "mysql"], indirect=True)
def test_a_cascade_stops_at_a_base_that_another_repository_holds(registry: Registry, alice: Client) -> None:
    base = chain("root", "base")
    one, other = image("one", base), image("other", base)
    alice.push("team/one", "latest", one)
    alice.push("other/two", "latest", other)
    assert alice.delete("team/one", "latest").images == (one.id,)
    assert alice.pulled(other) == content(other)
    assert alice.delete("other/two", "latest").images == tuple(image.id for image in other.chain)
    truth.is_at_rest(registry)


def test_a_cascade_stops_at_a_parent_that_has_a_tag_of_its_own(registry: Registry, alice: Client) -> None:
    base = chain("root", "base")
    top = image("top", base)
    alice.push("team/app", "latest", top)
    alice.tag("team/app", "base", base)
    assert alice.delete("team/app", "latest").images == (top.id,)
    assert alice.pulled(base) == content(base)
    truth.is_at_rest(registry)


def test_a_delete_does_not_cascade_from_an_image_that_has_a_child(registry: Registry, alice: Client) -> None:
    base = image("base")
    top = image("top", base)
    alice.push("team/app", "latest", top)
    alice.tag("team/app", "base", base)
    assert alice.delete("team/app", "base").freed_bytes == len(base.config)
    assert alice.pulled(top) == content(top)
    truth.is_at_rest(registry)


def test_a_cascade_keeps_a_layer_that_an_unrelated_image_uses(registry: Registry, alice: Client) -> None:
    one, other = image("one", layer="same"), image("other", layer="same")
    alice.push("team/one", "latest", one)
    alice.push("team/two", "latest", other)
    told = alice.delete("team/one", "latest")
    assert (told.images, told.freed_bytes) == ((one.id,), len(one.config))
    assert alice.pulled(other) == content(other)
    assert alice.delete("team/two", "latest").freed_bytes == held(other)
    truth.is_at_rest(registry)


def test_a_cascade_counts_a_layer_that_two_images_of_one_chain_use_once(registry: Registry, alice: Client) -> None:
    base = image("base", layer="same")
    top = image("top", base, layer="same")
    alice.push("team/app", "latest", top)
    told = alice.delete("team/app", "latest")
    assert (told.freed_bytes, len(told.layers)) == (top.size + len(top.config), 1 + 1)
    truth.is_at_rest(registry)


def test_the_last_of_many_tags_on_one_image_cascades(registry: Registry, alice: Client) -> None:
    top = chain("base", "top")
    alice.push("team/app", "1", top)
    for tag in ("2", "3"):
        alice.tag("team/app", tag, top)
    assert [alice.delete("team/app", tag).freed_bytes for tag in ("2", "1", "3")] == [0, 0, held(top)]
    truth.is_at_rest(registry)


@pytest.mark.parametrize("place", ["sqlite", "mariadb", "mysql"], indirect=True)
def test_deleting_a_tag_twice_counts_once(registry: Registry, alice: Client) -> None:
    base = image("base")
    one, other = image("one", base), image("other", base)
    alice.push("team/app", "one", one)
    alice.push("team/app", "other", other)
    alice.delete("team/app", "one")
    with pytest.raises(errors.TagUnknown):
        alice.delete("team/app", "one")
    assert alice.pulled(other) == content(other)
    truth.is_at_rest(registry)


def test_a_cascade_frees_the_bytes_on_the_disk(registry: Registry, alice: Client) -> None:
    top = chain("base", "top")
    alice.push("team/app", "latest", top)
    before = sum(truth.files(registry).values())
    told = alice.delete("team/app", "latest")
    assert sum(truth.files(registry).values()) == before - told.freed_bytes == 0


def test_an_image_can_be_pushed_again_after_its_cascade(registry: Registry, alice: Client) -> None:
    top = chain("base", "top")
    alice.push("team/app", "latest", top)
    first = set(truth.files(registry))
    alice.delete("team/app", "latest")
    alice.push("team/app", "latest", top)
    assert alice.pulled(top) == content(top)
    assert not first & set(truth.files(registry))
    truth.is_at_rest(registry)


@pytest.mark.parametrize("place", ["sqlite", "mariadb", "mysql"], indirect=True)
def test_a_repository_cascades_with_all_its_tags(registry: Registry, alice: Client) -> None:
    base = image("base")
    for number in range(5):
        alice.push("team/app", f"{number}", image(f"top {number}", base))
    kept = image("kept", base)
    alice.push("team/kept", "latest", kept)
    told = alice.delete_repository("team/app")
    assert (len(told.tags), len(told.images), told.pending_bytes) == (5, 5, 0)
    assert told.freed_bytes == sum(line.size for line in told.layers)
    assert alice.pulled(kept) == content(kept)
    with pytest.raises(errors.RepositoryUnknown):
        alice.delete_repository("team/app")
    truth.is_at_rest(registry)


def test_a_push_into_a_repository_that_is_being_deleted_makes_a_new_one(place: Place) -> None:
    registry = place.open()
    alice = Client(registry)
    alice.push("team/app", "old", image("old"))
    top = image("new")
    alice.begin("team/app", top)
    alice.send_missing(top)
    alice.delete_repository("team/app")
    alice.tag("team/app", "new", top)
    alice.end("team/app")
    assert truth.tags(registry) == {("team/app", "new"): top.id}
    reclaim.work_off(registry)
    truth.is_at_rest(registry)
