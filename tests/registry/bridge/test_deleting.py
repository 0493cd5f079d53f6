"""Whichever protocol brought an image and whichever takes it away: all of it goes, once, in both worlds."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from tests.registry.bridge.both import Both
from tests.registry.bridge.images import fresh, new_image, old_chain, old_image, packed, tar
from tests.registry.protocol.pushing import blob

pytestmark = pytest.mark.usefixtures("emptied")
everywhere = pytest.mark.parametrize("door", ["on_sqlite", "on_mariadb", "on_mysql"], indirect=True)
Push = Callable[[Both, str], int]
Delete = Callable[[Both, str], httpx.Response | None]


def _old(both: Both, tag: str) -> int:
    """Three layers over v1; returns the bytes that are stored."""
    chain = old_chain(*[tar(fresh()) for _ in range(3)], form="gzip").layers
    both.push_old(tag, *chain)
    return sum(len(blob(layer)) for layer in chain) + int(both.manifest(tag)["config"]["size"])


def _old_packed_anew(both: Both, tag: str) -> int:
    """Layers that are stored twice, for each protocol as it knows them."""
    chain = old_chain(*[tar(fresh()) for _ in range(2)], form="xz").layers
    both.push_old(tag, *chain)
    told = both.manifest(tag)
    stored: int = sum(len(blob(layer)) for layer in chain) + sum(
        each["size"] for each in (told["config"], *told["layers"])
    )
    return stored


def _new(both: Both, tag: str) -> int:
    image = new_image(*[tar(fresh()) for _ in range(3)])
    both.push_new(image, tag)
    return image.size


def _retagged(both: Both, tag: str) -> int:
    """An image of v2 whose tag an old engine set; the one that came with it is gone."""
    image = new_image(*[tar(fresh()) for _ in range(3)])
    elsewhere = both.at(f"{both.name}/origin")
    elsewhere.push_new(image, "1")
    both.point(tag, image.old_ids[-1])
    elsewhere.new.delete("1")
    return image.size


def _v1_tag(both: Both, tag: str) -> httpx.Response:
    return both.old.delete(f"/v1/repositories/{both.name}/tags/{tag}")


def _v1_repository(both: Both, _tag: str) -> httpx.Response:
    return both.old.delete(f"/v1/repositories/{both.name}/")


def _v2_tag(both: Both, tag: str) -> httpx.Response:
    return both.new.delete(tag)


def _v2_digest(both: Both, tag: str) -> httpx.Response:
    return both.new.delete(both.new.pulled(tag))


def _api(both: Both, tag: str) -> httpx.Response:
    return both.old.delete(f"/api/repositories/{both.name}/tags/{tag}")


def _command(both: Both, tag: str) -> None:
    both.running.pier("delete", f"{both.name}:{tag}")


origins = pytest.mark.parametrize("push", [_old, _old_packed_anew, _new, _retagged], ids=lambda each: each.__name__[1:])
ways = pytest.mark.parametrize(
    "delete", [_v1_tag, _v1_repository, _v2_tag, _v2_digest, _api, _command], ids=lambda each: each.__name__[1:]
)


@origins
@ways
def test_a_delete_takes_all_of_an_image_out_of_both_worlds(both: Both, push: Push, delete: Delete) -> None:
    size = push(both, "1")
    top, digest, freed = both.old_tags()["1"], both.new.pulled("1"), both.usage()["freed_bytes"]
    answer = delete(both, "1")
    if answer is not None:
        assert answer.status_code in {200, 202}
        assert (answer.headers["Pier-Freed-Bytes"], answer.headers["Pier-Pending-Bytes"]) == (str(size), "0")
    assert both.usage()["freed_bytes"] == freed + size
    assert both.old_tags() == {}
    assert not both.knows_old(top)
    assert both.new.tags() == []
    assert not both.new.knows(digest)


@origins
def test_a_preview_tells_what_the_delete_will(both: Both, push: Push) -> None:
    push(both, "1")
    path = f"/api/repositories/{both.name}/tags/1"
    foreseen = both.old.get(f"{path}/reclaim").content
    assert both.old.delete(path).content == foreseen


@everywhere
def test_a_digest_that_goes_takes_all_its_tags_along_on_both_sides(both: Both) -> None:
    _old(both, "1")
    both.point("2", both.old_tags()["1"])
    answer = both.new.delete(both.new.pulled("1"))
    assert answer.status_code == 202
    assert (both.old_tags(), both.new.tags()) == ({}, [])


def test_a_second_tag_keeps_all_of_it(both: Both) -> None:
    _old(both, "1")
    top = both.old_tags()["1"]
    both.new.put(both.new.get("1").content, "2")
    assert both.new.delete("1").headers["Pier-Freed-Bytes"] == "0"
    assert both.pulls_whole("2")
    assert not both.knows_old(top)
    assert both.ancestry(both.old_tags()["2"])
    both.new.delete("2")


@everywhere
def test_a_base_that_images_of_both_protocols_share_goes_with_the_last(both: Both) -> None:
    shared = tar(fresh("base"))
    new = new_image(shared, tar(fresh()))
    chain = old_chain(shared, tar(fresh()), form="gzip").layers
    both.push_new(new, "new")
    both.push_old("old", *chain)
    first = both.new.delete("new").headers["Pier-Freed-Bytes"]
    assert int(first) == new.size - len(packed(shared))
    assert both.pulls_whole("old")
    size = sum(len(blob(layer)) for layer in chain) + int(both.manifest("old")["config"]["size"])
    assert both.old.delete(f"/v1/repositories/{both.name}/tags/old").headers["Pier-Freed-Bytes"] == str(size)


def test_a_tag_of_v1_that_v2_sets_anew_frees_the_old_image(both: Both) -> None:
    stored = _old(both, "1")
    top = both.old_tags()["1"]
    image = new_image(tar(fresh()))
    freed = both.usage()["freed_bytes"]
    both.push_new(image, "1")
    assert both.usage()["freed_bytes"] == freed + stored
    assert both.old_tags() == {"1": image.old_ids[-1]}
    assert not both.knows_old(top)
    both.new.delete("1")


def test_a_tag_of_v2_that_v1_sets_anew_frees_the_old_image(both: Both) -> None:
    image = new_image(*[tar(fresh()) for _ in range(3)])
    both.push_new(image, "1")
    top = old_image(tar(fresh()), form="gzip")
    assert both.push_old("1", top).headers["Pier-Freed-Bytes"] == str(image.size)
    assert both.old_tags() == {"1": top.id}
    assert not both.knows_old(image.old_ids[-1])
    assert not both.new.knows(image.digest)
    both.new.delete("1")


def test_a_child_keeps_its_foreign_parent_and_nothing_more(both: Both) -> None:
    image = new_image(*[tar(fresh()) for _ in range(3)])
    both.push_new(image, "1")
    both.point("base", image.old_ids[1])
    assert both.new.delete("1").headers["Pier-Freed-Bytes"] == str(len(image.layers[2]) + len(image.config))
    assert both.ancestry(image.old_ids[1]) == image.old_ids[:2]
    assert not both.knows_old(image.old_ids[2])
    both.new.delete("base")


def test_deleting_twice_is_unknown_on_either_side(both: Both) -> None:
    _new(both, "1")
    both.new.delete("1")
    assert both.new.delete("1").status_code == 404
    assert both.old.delete(f"/v1/repositories/{both.name}/tags/1").status_code == 404
