"""What today's clients push is a chain of images for yesterday's engines, where those could use it."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from tests.registry.bridge.both import VERSIONS, Both, ids_of
from tests.registry.bridge.images import (
    DOCKER_FOREIGN,
    DOCKER_GZIP,
    DOCKER_TAR,
    OCI_GZIP,
    OCI_TAR,
    OCI_ZSTD,
    fresh,
    new_image,
    tar,
)
from tests.registry.v2.documents import AMD64, digest

pytestmark = pytest.mark.usefixtures("emptied")
EVERY_TYPE = [DOCKER_GZIP, DOCKER_TAR, OCI_GZIP, OCI_TAR]


@pytest.fixture
def contents() -> list[bytes]:
    return [tar(fresh()) for _ in range(3)]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("media_type", EVERY_TYPE)
def test_an_image_of_any_kind_is_pulled_by_an_old_engine(
    both: Both, contents: list[bytes], media_type: str, version: str
) -> None:
    image = new_image(*contents, media_type=media_type)
    both.push_new(image, "1")
    pulled = both.engine(version).pull(both.name, "1")["1"]
    assert ids_of(pulled) == image.old_ids
    assert [layer.layer_sha256 for layer in pulled.layers] == [
        hashlib.sha256(each).hexdigest() for each in image.layers
    ]
    assert [layer.size for layer in pulled.layers] == [len(each) for each in image.layers]
    assert [f"sha256:{layer.uncompressed_sha256}" for layer in pulled.layers] == list(map(digest, contents))
    both.new.delete("1")


def test_the_top_tells_what_the_config_does_and_the_rest_only_their_place(both: Both, contents: list[bytes]) -> None:
    members: dict[str, Any] = {
        "created": "2024-02-29T12:00:00.123456789Z",
        "author": "somebody",
        "config": {"Cmd": ["sh"], "Env": ["PATH=/bin"], "Labels": {"größe": "1"}},
        "os.version": "10.0",
        "os.features": ["x"],
        "moby.buildkit.buildinfo.v1": "eyJ9",
        "history": [{"created_by": "one"}, {"created_by": "two"}, {"created_by": "three"}],
    }
    image = new_image(*contents, **members)
    both.push_new(image, "1")
    root, middle, top = image.old_ids
    assert both.old_json(root) == {"id": root}
    assert both.old_json(middle) == {"id": middle, "parent": root}
    kept = {name: members[name] for name in ("created", "author", "config")}
    assert both.old_json(top) == {"id": top, "parent": middle} | AMD64 | kept
    both.new.delete("1")


def test_what_a_config_says_of_ids_and_parents_is_not_believed(both: Both, contents: list[bytes]) -> None:
    image = new_image(contents[0], id="0" * 64, parent="1" * 64)
    both.push_new(image, "1")
    (top,) = image.old_ids
    assert both.ancestry(top) == [top]
    told = both.old_json(top)
    assert told["id"] == top
    assert "parent" not in told
    both.new.delete("1")


def test_every_list_of_v1_tells_of_it(both: Both, contents: list[bytes]) -> None:
    image = new_image(*contents, created="2024-02-29T12:00:00Z")
    both.push_new(image, "1")
    namespace, top = both.name.partition("/")[0], image.old_ids[-1]
    assert both.old_tags() == {"1": top}
    assert both.old.get(f"/v1/repositories/{both.name}/tags/1").json() == top
    listed = both.old.get(f"/v1/repositories/{both.name}/images").json()
    assert {each["id"] for each in listed} == set(image.old_ids)
    assert both.old.get("/v1/search", params={"q": both.name}).json()["results"][0]["name"] == both.name
    assert both.old.get("/v1/alltags", params={"q": namespace}).json()["results"] == [
        {
            "tag": f"{both.name}:1",
            "id": top,
            "created": "2024-02-29T12:00:00Z",
            "Size": sum(map(len, image.layers)),
            "arch": "amd64",
            "os": "linux",
        }
    ]
    both.new.delete("1")


def test_images_on_one_base_share_its_ids(both: Both, contents: list[bytes]) -> None:
    one, two = new_image(*contents), new_image(*contents[:2], tar(fresh()))
    both.push_new(one, "1")
    both.at(f"{both.name}/two").push_new(two, "2")
    assert one.old_ids[:2] == two.old_ids[:2]
    assert one.old_ids[2] != two.old_ids[2]
    assert [both.ancestry(each.old_ids[2]) for each in (one, two)] == [one.old_ids, two.old_ids]
    both.new.delete("1")
    assert both.ancestry(two.old_ids[2]) == two.old_ids
    assert not both.knows_old(one.old_ids[2])
    both.at(f"{both.name}/two").new.delete("2")


def test_an_image_that_ends_where_another_goes_on_has_a_top_of_its_own(both: Both, contents: list[bytes]) -> None:
    short, long = new_image(*contents[:2]), new_image(*contents)
    both.push_new(short, "short")
    both.push_new(long, "long")
    assert short.old_ids[0] == long.old_ids[0]
    assert short.old_ids[1] != long.old_ids[1]
    assert both.ancestry(both.old_tags()["short"]) == short.old_ids
    assert both.ancestry(both.old_tags()["long"]) == long.old_ids
    for tag in ("short", "long"):
        both.new.delete(tag)


def test_a_config_that_claims_the_diff_ids_of_another_gets_none_of_its_ids(both: Both, contents: list[bytes]) -> None:
    honest, poison = new_image(*contents), tar(fresh("poison"))
    liar = new_image(poison, *contents[1:], diff_ids=[digest(content) for content in contents])
    both.push_new(honest, "honest")
    both.push_new(liar, "liar")
    assert not set(honest.old_ids) & set(liar.old_ids)
    assert both.old_layer(honest.old_ids[0]) == honest.layers[0]
    assert both.old_layer(liar.old_ids[0]) == liar.layers[0]
    for tag in ("honest", "liar"):
        both.new.delete(tag)


# What old engines cannot use


@pytest.mark.parametrize(
    "media_type", [OCI_ZSTD, DOCKER_FOREIGN, f"{OCI_TAR}+encrypted", "application/vnd.acme.rocket.v1+tar"]
)
def test_layers_of_a_newer_kind_are_left_out(both: Both, absent: Any, contents: list[bytes], media_type: str) -> None:
    image = new_image(*contents)
    for blob in image.blobs:
        both.new.blob(blob)
    both.new.manifest(image.with_top_layer(media_type), "1")
    absent()


def test_an_artifact_is_left_out(both: Both, absent: Any) -> None:
    both.new.artifact("application/vnd.acme.rocket", b"notes", tag="1")
    absent()


def test_a_chart_is_left_out(both: Both, absent: Any) -> None:
    image = new_image(
        tar(fresh()),
        media_type=OCI_GZIP,
        raw=b'{"name":"app"}',
        config_type="application/vnd.cncf.helm.config.v1+json",
    )
    both.push_new(image, "1")
    absent()


@pytest.mark.parametrize(
    "config",
    [
        b"{}",
        b"[]",
        b'"text"',
        b"no JSON",
        b"\xff",
        b'{"rootfs":null}',
        b'{"rootfs":{"diff_ids":{}}}',
        b'{"rootfs":{"diff_ids":[]}}',
        b'{"rootfs":{"diff_ids":["a","b"]}}',
        b'{"rootfs":{"diff_ids":["a"]},"x":' + b"[" * 5_000 + b"]" * 5_000 + b"}",
    ],
    ids=lambda config: config[:40].decode("latin-1"),
)
def test_a_config_that_does_not_fit_its_layers_is_left_out(both: Both, absent: Any, config: bytes) -> None:
    """It is pushed all the same: v2 does not look into configs."""
    both.push_new(new_image(tar(fresh()), raw=config), "1")
    absent()


def test_an_image_without_layers_is_left_out(both: Both, absent: Any) -> None:
    both.push_new(new_image(), "1")
    absent()


def test_an_image_of_more_layers_than_old_engines_stack_is_left_out(both: Both, absent: Any) -> None:
    """127 are their limit."""
    layer = tar(fresh(), 10)
    both.push_new(new_image(*[layer] * 128), "1")
    absent()
    both.push_new(new_image(*[layer] * 127), "1")
    assert len(both.ancestry(both.old_tags()["1"])) == 127
    both.new.delete("1")


def test_old_engines_see_the_tags_that_they_can_use_and_no_others(both: Both, contents: list[bytes]) -> None:
    image = new_image(*contents)
    both.push_new(image, "image")
    both.new.artifact("application/vnd.acme.rocket", b"notes", tag="notes")
    assert both.old_tags() == {"image": image.old_ids[-1]}
    assert ids_of(both.engine().pull(both.name)["image"]) == image.old_ids
    for tag in ("image", "notes"):
        both.new.delete(tag)


# Numbers and names that no Python object carries round


@pytest.mark.parametrize(
    "member",
    [
        b'"a":1e400',
        b'"a":1.10',
        b'"a":-0',
        b'"a":' + b"9" * 4_000,
        b'"a":1,"a":2',
        b'"a":"\\ud800"',
        b'"a":NaN',
        b'"a":' + b"[" * 400 + b"]" * 400,
        b'"a":' + b'{"a":' * 600 + b"0" + b"}" * 600,
        b'"created":7',
        b'"created":{}',
        b'"architecture":null,"os":[]',
    ],
    ids=lambda member: member[:20].decode(),
)
def test_an_odd_config_makes_no_trouble(both: Both, member: bytes) -> None:
    content = tar(fresh())
    config = b'{"rootfs":{"diff_ids":["' + digest(content).encode() + b'"]},' + member + b"}"
    both.push_new(new_image(content, raw=config), "1")
    listed = both.old.get("/v1/alltags", params={"q": both.name.partition("/")[0]})
    assert listed.status_code == 200
    for tag, top in both.old_tags().items():
        assert both.old.get(f"/v1/images/{top}/json").status_code == 200
        assert both.knows_old(top)
        assert tag in both.engine().pull(both.name)
    both.new.delete("1")
