"""Of an index, yesterday's engines get the image for linux on amd64; and odd documents do no harm on either side."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.registry.bridge.both import Both, ids_of
from tests.registry.bridge.images import OCI_ZSTD, NewImage, fresh, new_image, tar
from tests.registry.v2.documents import AMD64, ARM64, OCI_IMAGE, OCI_INDEX, descriptor, digest, encoded

pytestmark = pytest.mark.usefixtures("emptied")


def platforms(*children: tuple[NewImage, dict[str, Any] | None], **members: Any) -> bytes:
    listed = []
    for child, platform in children:
        told = descriptor(child.manifest, json.loads(child.manifest)["mediaType"])
        listed.append(told | ({"platform": platform} if platform is not None else {}))
    return encoded({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": listed} | members)


@pytest.fixture
def several(both: Both) -> list[NewImage]:
    """Pushed, without tags."""
    images = [new_image(tar(fresh())) for _ in range(4)]
    for image in images:
        both.push_new(image)
    return images


def _take_away(both: Both, several: list[NewImage], *tags: str) -> None:
    for tag in tags:
        both.new.delete(tag)
    for image in several:
        if both.new.knows(image.digest):
            both.new.delete(image.digest)


def test_of_many_platforms_old_engines_get_linux_on_amd64(both: Both, several: list[NewImage]) -> None:
    arm, amd, attestation, windows = several
    index = platforms((arm, ARM64), (windows, {"os": "windows", "architecture": "amd64"}), (amd, AMD64))
    told = json.loads(index)
    told["manifests"].insert(
        0,
        descriptor(attestation.manifest, OCI_IMAGE)
        | {"platform": AMD64, "annotations": {"vnd.docker.reference.type": "attestation-manifest"}},
    )
    both.new.manifest(encoded(told), "1")
    assert both.old_tags() == {"1": amd.old_ids[-1]}
    assert ids_of(both.engine("1.6.2").pull(both.name, "1")["1"]) == amd.old_ids
    _take_away(both, several, "1")


def test_the_plainest_variant_is_taken(both: Both, several: list[NewImage]) -> None:
    newest, newer, plain, _ = several
    index = platforms((newest, AMD64 | {"variant": "v3"}), (newer, AMD64 | {"variant": "v2"}), (plain, AMD64))
    both.new.manifest(index, "1")
    both.new.manifest(platforms((newest, AMD64 | {"variant": "v3"}), (newer, AMD64 | {"variant": "v2"})), "2")
    assert both.old_tags() == {"1": plain.old_ids[-1], "2": newer.old_ids[-1]}
    _take_away(both, several, "1", "2")


def test_an_index_within_an_index_is_looked_into(both: Both, several: list[NewImage]) -> None:
    inner = platforms((several[0], ARM64), (several[1], AMD64))
    both.new.manifest(inner)
    outer = encoded(
        {
            "schemaVersion": 2,
            "mediaType": OCI_INDEX,
            "manifests": [descriptor(inner, OCI_INDEX)],
        }
    )
    both.new.manifest(outer, "1")
    assert both.old_tags() == {"1": several[1].old_ids[-1]}
    both.new.delete("1")
    _take_away(both, several)


@pytest.mark.parametrize(
    "platform",
    [ARM64, {"os": "windows", "architecture": "amd64"}, {"os": "unknown", "architecture": "unknown"}],
    ids=["arm64", "windows", "unknown"],
)
def test_an_index_for_other_machines_only_is_left_out(
    both: Both, absent: Any, several: list[NewImage], platform: dict[str, Any]
) -> None:
    both.new.manifest(platforms((several[0], platform)), "1")
    absent()
    _take_away(both, several)


def test_an_index_whose_image_for_amd64_is_of_a_newer_kind_is_left_out(
    both: Both, absent: Any, several: list[NewImage]
) -> None:
    layer = tar(fresh())
    image = new_image(layer)
    for blob in image.blobs:
        both.new.blob(blob)
    manifest = image.with_top_layer(OCI_ZSTD)
    both.new.manifest(manifest)
    listed = descriptor(manifest, OCI_IMAGE) | {"platform": AMD64}
    index = json.loads(platforms((several[0], ARM64)))
    index["manifests"].append(listed)
    both.new.manifest(encoded(index), "1")
    absent()
    _take_away(both, [*several, NewImage((), b"", manifest)])


@pytest.mark.parametrize(
    "members",
    [
        {"annotations": True},
        {"annotations": 5},
        {"annotations": []},
        {"platform": "linux/amd64"},
        {"platform": AMD64 | {"variant": {}}},
        {"platform": {"os": ["linux"], "architecture": {}}},
        {"platform": AMD64, "annotations": {"vnd.docker.reference.type": None}},
    ],
    ids=str,
)
def test_an_odd_descriptor_makes_no_trouble(both: Both, several: list[NewImage], members: dict[str, Any]) -> None:
    index = json.loads(platforms((several[0], ARM64)))
    index["manifests"][0] |= members
    answer = both.new.put(encoded(index), "1")
    assert answer.status_code in {201, 400}
    for accept in ("", "application/vnd.docker.distribution.manifest.v2+json"):
        assert both.new.get("1", Accept=accept).status_code == (200 if answer.status_code == 201 else 404)
    both.old_tags()
    _take_away(both, several, *(["1"] if answer.status_code == 201 else []))


@pytest.mark.parametrize("kind", ["config", "layer"])
@pytest.mark.parametrize("told", [[], {}, 5, None, True], ids=str)
def test_an_odd_media_type_makes_no_trouble(both: Both, kind: str, told: Any) -> None:
    image = new_image(tar(fresh()))
    for blob in image.blobs:
        both.new.blob(blob)
    manifest = json.loads(image.manifest) | {"artifactType": "application/vnd.acme.rocket"}
    (manifest["config"] if kind == "config" else manifest["layers"][0])["mediaType"] = told
    answer = both.new.put(encoded(manifest), "1")
    assert answer.status_code in {201, 400}
    if answer.status_code == 201:
        assert both.old_tags() == {}
        both.new.delete("1")
    else:
        for blob in image.blobs:
            both.new.delete_blob(digest(blob))
