"""What yesterday's engines push is an image for today's: docker's schema 2, by tag and by digest."""

from __future__ import annotations

import gzip
import json

import pytest

from tests.parts.images import synthetic_image
from tests.parts.registry import Running
from tests.registry.bridge.both import VERSIONS, Both
from tests.registry.bridge.images import (
    DOCKER_GZIP,
    DOCKER_TAR,
    EMPTY_TAR,
    described,
    fresh,
    made,
    old_chain,
    old_image,
    packed,
    tar,
)
from tests.registry.protocol import pushing as old_pushing
from tests.registry.v2.answers import refusal
from tests.registry.v2.documents import DOCKER_IMAGE, digest

pytestmark = pytest.mark.usefixtures("emptied")
everywhere = pytest.mark.parametrize("door", ["on_sqlite", "on_mariadb", "on_mysql"], indirect=True)


@pytest.fixture
def contents() -> list[bytes]:
    return [tar(fresh()) for _ in range(3)]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_push_of_an_old_engine_is_pulled_by_tag_and_by_digest(both: Both, version: str) -> None:
    image = synthetic_image(depth=3, seed=VERSIONS.index(version), size=30_000)
    pushed = both.engine(version).push(both.name, {"1": image})
    answer = both.new.get("1")
    assert answer.headers["Content-Type"] == DOCKER_IMAGE
    assert answer.headers["Docker-Content-Digest"] == digest(answer.content)
    assert both.new.get(digest(answer.content)).content == answer.content
    assert both.pulls_whole("1")
    told = both.manifest("1")
    assert [each["digest"] for each in told["layers"]] == [
        f"sha256:{pushed.layers[layer.id].sha256}" for layer in image.layers
    ]
    both.engine().delete_tag(both.name, "1")


@everywhere
def test_the_manifest_is_what_the_chain_alone_makes_it(both: Both, contents: list[bytes]) -> None:
    """So it is the same on every database."""
    chain = old_chain(*contents, form="gzip").layers
    both.push_old("1", *chain)
    layers = [packed(content) for content in contents]
    expected = made([each.json for each in chain], contents, [described(layer) for layer in layers])
    assert both.new.get("1").content == expected.manifest
    assert both.config("1") == expected.config
    both.new.delete("1")


def test_the_diff_ids_are_those_of_the_inflated_layers(both: Both) -> None:
    both.engine().push(both.name, {"1": synthetic_image(depth=4, seed=11, size=20_000)})
    rootfs = json.loads(both.config("1"))["rootfs"]
    inflated = [gzip.decompress(both.blob(each["digest"])) for each in both.manifest("1")["layers"]]
    assert rootfs == {"type": "layers", "diff_ids": [digest(content) for content in inflated]}
    both.new.delete("1")


def test_the_history_tells_of_every_layer_root_first(both: Both, contents: list[bytes]) -> None:
    both.push_old("1", *old_chain(*contents, form="gzip").layers)
    told = json.loads(both.config("1"))["history"]
    assert [each["created_by"] for each in told] == ["touch 0", "touch 1", "touch 2"]
    assert [each["created"] for each in told] == [f"2014-05-13T16:53:0{number}.5Z" for number in range(3)]
    both.new.delete("1")


@everywhere
def test_the_digest_stays_whatever_happens_to_the_tag(both: Both, contents: list[bytes]) -> None:
    chain = old_chain(*contents).layers
    engine = both.engine()
    engine.push(both.name, {"1": old_chain(*contents[:2])})
    both.new.delete("1")
    image = old_chain(on=chain)
    engine.push(both.name, {"1": image})
    first = both.new.pulled("1")
    engine.push(both.name, {"1": image, "2": image})
    both.point("1", chain[-1].id)
    elsewhere = both.at(f"{both.name}/elsewhere")
    elsewhere.point("3", chain[-1].id)
    assert (both.new.pulled("1"), both.new.pulled("2"), elsewhere.new.pulled("3")) == (first, first, first)
    for place in (both.new, elsewhere.new):
        place.delete(first)
    engine.push(both.name, {"1": image})
    assert both.new.pulled("1") == first
    both.new.delete("1")


@everywhere
def test_the_digest_stays_over_a_restart(both: Both, door: Running, contents: list[bytes]) -> None:
    chain = old_chain(*contents, form="gzip").layers
    both.push_old("1", *chain)
    first = both.new.get("1").content
    door.stop()
    door.start()
    assert both.new.get("1").content == first
    both.point("1", chain[-1].id)
    assert both.new.get("1").content == first
    assert both.pulls_whole("1")
    both.new.delete("1")


def test_a_plain_tar_is_a_layer_as_it_is(both: Both, contents: list[bytes]) -> None:
    both.push_old("1", *old_chain(*contents, form="plain").layers)
    assert both.manifest("1")["layers"] == [described(content, DOCKER_TAR) for content in contents]
    assert both.pulls_whole("1")
    both.new.delete("1")


@pytest.mark.parametrize("form", ["bzip2", "xz"])
def test_a_form_that_v2_has_no_name_for_is_packed_anew_for_it(both: Both, contents: list[bytes], form: str) -> None:
    chain = old_chain(*contents, form=form).layers
    both.push_old("1", *chain)
    told = both.manifest("1")["layers"]
    assert [each["mediaType"] for each in told] == [DOCKER_GZIP] * 3
    assert [gzip.decompress(both.blob(each["digest"])) for each in told] == contents
    assert [both.old_layer(layer.id) for layer in chain] == [packed(content, form) for content in contents]
    both.new.delete("1")


@pytest.mark.parametrize("form", ["bzip2", "xz"])
def test_what_was_packed_anew_keeps_its_digest(both: Both, door: Running, contents: list[bytes], form: str) -> None:
    chain = old_chain(*contents, form=form).layers
    both.push_old("1", *chain)
    first = both.new.pulled("1")
    door.stop()
    door.start()
    both.point("1", chain[-1].id)
    both.point("2", chain[-1].id)
    assert both.new.pulled("1") == both.new.pulled("2") == first
    both.new.delete(first)
    both.push_old("1", *chain)
    assert both.new.pulled("1") == first
    both.new.delete("1")


@pytest.mark.parametrize("form", ["gzip", "plain", "bzip2", "xz"])
def test_one_content_twice_in_a_chain_is_two_layers_of_the_manifest(both: Both, form: str) -> None:
    content, before = tar(fresh()), both.usage()["leases"]
    both.push_old("1", *old_chain(content, content, form=form).layers)
    told = both.manifest("1")["layers"]
    assert (len(told), told[0]) == (2, told[1])
    assert json.loads(both.config("1"))["rootfs"]["diff_ids"] == [digest(content)] * 2
    assert both.usage()["leases"] == before
    both.new.delete("1")


def test_empty_layers_stay_layers(both: Both) -> None:
    both.push_old("1", *old_chain(EMPTY_TAR, tar(fresh()), EMPTY_TAR, form="gzip").layers)
    told = json.loads(both.config("1"))
    assert len(told["history"]) == len(told["rootfs"]["diff_ids"]) == len(both.manifest("1")["layers"]) == 3
    assert not any("empty_layer" in step for step in told["history"])
    both.new.delete("1")


@pytest.mark.parametrize(
    "layer",
    [b"no tar at all", b"", packed(tar("cut short"))[:-9], packed(tar("cut short"), "xz")[:-9]],
    ids=["no tar", "nothing", "damaged gzip", "damaged xz"],
)
def test_what_is_no_tar_stays_with_v1(both: Both, layer: bytes) -> None:
    top = old_image(layer, form="plain")
    both.push_old("1", top)
    assert both.old_tags() == {"1": top.id}
    assert both.old_layer(top.id) == layer
    assert refusal(both.new.get("1")) == (404, "MANIFEST_UNKNOWN")
    assert both.new.tags() == []
    both.old.delete(f"/v1/repositories/{both.name}/tags/1")


def test_a_tag_that_moves_from_a_tar_to_something_else_leaves_v2(both: Both) -> None:
    old, new = old_image(tar(fresh()), form="gzip"), old_image(b"no tar", form="plain")
    both.push_old("1", old)
    known = both.new.pulled("1")
    both.push_old("1", new)
    assert both.new.tags() == []
    assert not both.new.knows(known)
    both.push_old("1", old)
    assert both.new.pulled("1") == known
    both.new.delete("1")


def test_a_tag_that_is_refused_makes_nothing(both: Both) -> None:
    base = old_image(tar(fresh()), form="gzip")
    top = old_image(tar(fresh()), base, form="gzip")
    old_pushing.put_json(both.old, base)
    old_pushing.put_json(both.old, top)
    before = both.usage()
    assert old_pushing.put_tag(both.old, both.name, "1", top.id).status_code == 404
    assert both.usage() == before
    both.push_old("1", base, top)
    both.new.delete("1")


def test_tags_and_repositories_of_old_engines_are_listed(both: Both) -> None:
    chain = old_chain(tar(fresh()), form="gzip").layers
    both.push_old("b", *chain)
    both.point("A", chain[-1].id)
    assert both.new.tags() == ["A", "b"]
    assert both.name in both.new.http.get("/v2/_catalog", params={"n": 1000}).json()["repositories"]
    both.new.delete(both.new.pulled("b"))


def test_a_moved_tag_takes_the_old_manifest_along(both: Both, contents: list[bytes]) -> None:
    base = old_image(contents[0], form="gzip")
    old, new = (old_image(content, base, form="gzip") for content in contents[1:])
    both.push_old("1", base, old)
    gone = both.new.pulled("1")
    both.push_old("1", new)
    assert not both.new.knows(gone)
    assert both.pulls_whole("1")
    both.new.delete("1")


def test_a_push_of_one_tag_promises_nothing_that_stays(both: Both, contents: list[bytes]) -> None:
    before = both.usage()
    both.engine().push(both.name, {"1": old_chain(*contents)})
    after = both.usage()
    assert (after["leases"], after["uploads"]) == (before["leases"], before["uploads"])
    both.new.delete("1")
