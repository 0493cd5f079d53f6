"""An image goes from one protocol to the other and back: retags, children on foreign parents, copies."""

from __future__ import annotations

import gzip
import json

import pytest

from tests.clients.v1_model import Image, Layer
from tests.registry.bridge.both import VERSIONS, Both, ids_of
from tests.registry.bridge.images import NewImage, described, fresh, made, new_image, old_chain, old_image, packed, tar
from tests.registry.protocol import pushing as old_pushing
from tests.registry.v2.documents import AMD64, ARM64, descriptor, digest, encoded

pytestmark = pytest.mark.usefixtures("emptied")
everywhere = pytest.mark.parametrize("door", ["on_sqlite", "on_mariadb", "on_mysql"], indirect=True)


@pytest.fixture
def image(both: Both) -> NewImage:
    """Three layers, pushed over v2 under 1."""
    pushed = new_image(*[tar(fresh()) for _ in range(3)])
    both.push_new(pushed, "1")
    return pushed


def as_pulled(both: Both, image: NewImage) -> Image:
    """The image as an old engine has it after a pull of its tag 1, to push it or to build on it."""
    pulled = both.engine().pull(both.name, "1")["1"]
    parents = [None, *(layer.id for layer in pulled.layers)]
    tars = map(gzip.decompress, image.layers)
    return Image(
        tuple(
            Layer(layer.id, layer.json, parent, content)
            for layer, parent, content in zip(pulled.layers, parents, tars, strict=False)
        )
    )


@everywhere
@pytest.mark.parametrize("version", VERSIONS)
def test_an_old_engine_tags_an_image_of_v2_in_another_repository(both: Both, image: NewImage, version: str) -> None:
    """It uploads nothing, and today's clients get the very same image there."""
    target = both.at(f"{both.name}/copy")
    pushed = both.engine(version).push(target.name, {"2": as_pulled(both, image)})
    assert pushed.uploaded == ()
    assert target.new.pulled("2") == image.digest
    assert target.old_tags() == {"2": image.old_ids[-1]}
    both.new.delete("1")
    assert target.pulls_whole("2")
    assert ids_of(both.engine(version).pull(target.name, "2")["2"]) == image.old_ids
    target.new.delete("2")


def test_a_retag_by_an_old_engine_leaves_no_promise(both: Both, image: NewImage) -> None:
    """Else a delete would free nothing for an hour."""
    before = both.usage()["leases"]
    target = both.at(f"{both.name}/copy")
    both.engine().push(target.name, {"2": as_pulled(both, image)})
    assert both.usage()["leases"] == before
    both.new.delete("1")
    answer = target.new.delete("2")
    assert answer.headers["Pier-Freed-Bytes"] == str(image.size)


def test_a_retag_in_the_same_repository_is_a_second_tag(both: Both, image: NewImage) -> None:
    both.engine().push(both.name, {"2": as_pulled(both, image)})
    assert both.new.pulled("2") == image.digest
    assert both.usage()["manifests"] >= 1
    both.new.delete(image.digest)
    assert both.old_tags() == {}


def test_a_bare_put_of_a_tag_links_an_image_of_v2(both: Both, image: NewImage) -> None:
    target = both.at(f"{both.name}/copy")
    target.point("2", image.old_ids[-1])
    assert target.new.pulled("2") == image.digest
    both.new.delete("1")
    target.old.delete(f"/v1/repositories/{target.name}/tags/2")


@everywhere
@pytest.mark.parametrize("version", VERSIONS)
def test_a_child_on_a_parent_of_v2_is_pulled_over_both(both: Both, image: NewImage, version: str) -> None:
    parent = as_pulled(both, image)
    child = old_chain(tar(fresh()), on=parent.layers)
    target = both.at(f"{both.name}/child")
    pushed = both.engine(version).push(target.name, {"2": child})
    assert pushed.uploaded == (child.top.id,)
    assert ids_of(both.engine(version).pull(target.name, "2")["2"]) == [*image.old_ids, child.top.id]
    told = target.manifest("2")
    assert [each["digest"] for each in told["layers"][:3]] == list(map(digest, image.layers))
    assert target.pulls_whole("2")
    both.new.delete("1")
    assert target.pulls_whole("2")
    assert ids_of(both.engine(version).pull(target.name, "2")["2"]) == [*image.old_ids, child.top.id]
    target.old.delete(f"/v1/repositories/{target.name}/tags/2")


def test_the_manifest_of_a_child_tells_the_true_diff_ids_of_its_foreign_parent(both: Both) -> None:
    """Those that its layers have, not those that the parent's config claimed."""
    contents = [tar(fresh()) for _ in range(3)]
    liar = new_image(*contents[:2], diff_ids=[digest(b"one lie"), digest(b"another")])
    both.push_new(liar, "1")
    child = old_image(contents[2], as_pulled(both, liar).top, form="gzip")
    both.push_old("2", child)
    assert json.loads(both.config("2"))["rootfs"]["diff_ids"] == list(map(digest, contents))
    for tag in ("1", "2"):
        both.new.delete(tag)


def test_a_push_of_a_child_leaves_no_promise(both: Both, image: NewImage) -> None:
    before = both.usage()["leases"]
    target = both.at(f"{both.name}/child")
    both.engine().push(target.name, {"2": old_chain(tar(fresh()), on=as_pulled(both, image).layers)})
    assert both.usage()["leases"] == before
    config = target.manifest("2")["config"]["size"]
    child = target.manifest("2")["layers"][-1]["size"]
    assert both.new.delete("1").headers["Pier-Freed-Bytes"] == str(len(image.config))
    freed = target.new.delete("2").headers["Pier-Freed-Bytes"]
    assert int(freed) == image.size - len(image.config) + child + config


def test_a_parent_of_v2_keeps_its_manifest_when_it_is_tagged_beside_its_child(both: Both, image: NewImage) -> None:
    """Its images have rows of their own by then; the manifest still says more than they could."""
    parent = as_pulled(both, image)
    both.engine().push(both.name, {"2": old_chain(tar(fresh()), on=parent.layers)})
    both.engine().push(both.name, {"3": parent})
    assert both.new.pulled("3") == image.digest
    both.new.delete("2")
    both.new.delete(image.digest)
    for tag in both.new.tags():
        both.new.delete(tag)


def test_a_part_of_an_image_of_v2_can_be_tagged_by_its_id(both: Both, image: NewImage) -> None:
    base = image.old_ids[1]
    both.point("base", base)
    assert both.old_tags()["base"] == base
    assert ids_of(both.engine().pull(both.name, "base")["base"]) == image.old_ids[:2]
    told = both.manifest("base")
    assert [each["digest"] for each in told["layers"]] == list(map(digest, image.layers[:2]))
    both.new.delete("1")
    assert both.pulls_whole("base")
    both.new.delete("base")


def test_of_an_index_an_old_engine_tags_the_image_that_it_got(both: Both) -> None:
    images = [new_image(tar(fresh())) for _ in range(2)]
    for each in images:
        both.push_new(each)
    kind = json.loads(images[0].manifest)["mediaType"]
    listed = [
        descriptor(each.manifest, kind) | {"platform": platform}
        for each, platform in zip(images, (ARM64, AMD64), strict=True)
    ]
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": listed}
    both.new.manifest(encoded(index), "1")
    target = both.at(f"{both.name}/copy")
    target.point("2", both.old_tags()["1"])
    assert target.new.pulled("2") == images[1].digest
    both.new.delete("1")
    for each in images:
        if both.new.knows(each.digest):
            both.new.delete(each.digest)
    assert target.pulls_whole("2")
    target.new.delete("2")


@everywhere
def test_the_manifest_of_a_v1_image_pushed_back_over_v2_is_the_same(both: Both) -> None:
    chain = old_chain(*[tar(fresh()) for _ in range(2)], form="gzip").layers
    both.push_old("1", *chain)
    body, config = both.new.get("1").content, both.config("1")
    copy = NewImage(tuple(map(old_pushing.blob, chain)), config, body)
    target = both.at(f"{both.name}/copy")
    target.push_new(copy, "2")
    both.push_new(copy, "2")
    assert target.new.pulled("2") == both.new.pulled("2") == both.new.pulled("1")
    assert both.old_tags()["1"] == chain[-1].id
    assert ids_of(both.engine().pull(target.name, "2")["2"]) == copy.old_ids
    assert ids_of(both.engine().pull(both.name, "1")["1"]) == [layer.id for layer in chain]
    both.new.delete(copy.digest)
    assert both.old_tags() == {}
    target.new.delete("2")


def test_a_tag_that_is_put_again_over_v2_keeps_its_v1_image(both: Both) -> None:
    chain = old_chain(tar(fresh()), form="gzip").layers
    both.push_old("1", *chain)
    assert both.new.put(both.new.get("1").content, "1").status_code == 201
    assert both.old_tags() == {"1": chain[-1].id}
    both.new.delete("1")


@everywhere
def test_a_layer_that_both_protocols_pushed_is_stored_once(both: Both) -> None:
    content = tar(fresh())
    new, old = new_image(content), old_image(content, form="gzip")
    both.push_new(new, "new")
    before = both.usage()
    both.push_old("old", old)
    assert both.usage()["layers"] == before["layers"] + 1  # its config
    assert both.manifest("old")["layers"] == [described(packed(content))]
    both.new.delete("new")
    assert both.pulls_whole("old")
    both.push_new(new, "new")
    both.new.delete("old")
    assert both.pulls_whole("new")
    both.new.delete("new")


def test_a_layer_that_came_over_v2_first_is_in_the_manifest_of_a_v1_image(both: Both) -> None:
    """v2 pushes are not inflated, so its diff_id is found when the tag is set."""
    content = tar(fresh())
    new, old = new_image(content), old_image(content, form="gzip")
    both.push_new(new, "new")
    both.push_old("old", old)
    expected = made([old.json], [content], [described(packed(content))])
    assert both.new.get("old").content == expected.manifest
    for tag in ("new", "old"):
        both.new.delete(tag)
