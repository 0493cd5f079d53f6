"""Images that other tests push and pull: real ones as docker saved them, and made-up ones."""

from __future__ import annotations

import gzip
import hashlib
import json
import tarfile
from pathlib import Path

import pytest

from tests.parts.images import SavedImage, read_saved, synthetic_image


def layer_ids(image: SavedImage) -> list[str]:
    return [layer.id for layer in image.layers]


def layer_digests(image: SavedImage) -> list[str]:
    return [hashlib.sha256(layer.layer.read_bytes()).hexdigest() for layer in image.layers]


def test_two_builds_of_an_app_differ_in_their_top_layer_only(saved_images: dict[str, Path]) -> None:
    (base,) = read_saved(saved_images["base"])
    (old,) = read_saved(saved_images["app"])
    (new,) = read_saved(saved_images["app-next"])
    assert old.tags == ("app:1",)
    assert len(old.layers) == len(base.layers) + 3
    assert layer_ids(old)[:-1] == layer_ids(new)[:-1]
    assert old.top.id != new.top.id
    assert layer_digests(old)[0] == layer_digests(base)[0]


def test_the_base_is_a_whole_debian(saved_images: dict[str, Path]) -> None:
    (base,) = read_saved(saved_images["base"])
    assert base.tags == ("debian:trixie-slim",)
    with tarfile.open(base.top.layer) as layer:
        assert "./etc/debian_version" in layer.getnames()
    assert base.top.layer.stat().st_size > 80_000_000


def test_every_layer_names_the_one_below_it(saved_images: dict[str, Path]) -> None:
    for name in ("small", "chain", "app"):
        for image in read_saved(saved_images[name]):
            assert [layer.parent for layer in image.layers] == [None, *layer_ids(image)[:-1]]
            assert [json.loads(layer.json)["id"] for layer in image.layers] == layer_ids(image)


def test_a_chain_of_images_grows_by_a_layer_each(saved_images: dict[str, Path]) -> None:
    (small,) = read_saved(saved_images["small"])
    chain = read_saved(saved_images["chain"])
    assert [image.tags for image in chain] == [(f"chain:{number}",) for number in (1, 2, 3, 4)]
    assert [len(image.layers) - len(small.layers) for image in chain] == [1, 2, 3, 4]
    for below, above in zip([small, *chain], chain, strict=False):
        assert layer_digests(above)[:-1] == layer_digests(below)


def test_a_tar_without_v1_images_is_refused(tmp_path: Path) -> None:
    modern = tmp_path / "modern.tar"
    with tarfile.open(modern, "w") as archive:
        archive.addfile(tarfile.TarInfo("index.json"))
    with pytest.raises(ValueError, match="Docker 24 or older"):
        read_saved(modern)


def test_a_made_up_image_is_the_same_every_time() -> None:
    once, again = synthetic_image(5, seed=7), synthetic_image(5, seed=7)
    assert once == again
    assert once.top.id == "584aac3b52ff45b66f38e00bf62a4700a5d687dd0f92541b27c36f6ce80f6ac1"


def test_a_deeper_made_up_image_begins_with_the_shallower_one() -> None:
    assert synthetic_image(6, seed=7).layers[:3] == synthetic_image(3, seed=7).layers


def test_made_up_images_can_share_a_base() -> None:
    base = synthetic_image(3)
    one, other = synthetic_image(1, seed=1, on=base), synthetic_image(1, seed=2, on=base)
    assert one.layers[:3] == other.layers[:3] == base.layers
    assert one.top.parent == base.top.id
    assert one.top.id != other.top.id


def test_a_made_up_layer_is_a_tar_that_compresses_as_layers_do() -> None:
    layer = synthetic_image(2, size=50_000).top.layer
    with tarfile.open(layer) as archive:
        assert archive.getmember("srv/1.txt").size == 50_000
        assert "srv/.wh.0.txt" in archive.getnames()
    content = layer.read_bytes()
    assert len(gzip.compress(content)) * 2 < len(content)
