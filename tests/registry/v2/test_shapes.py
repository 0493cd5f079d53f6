"""Manifests of every shape that clients push: empty, nested, repeated, foreign, caches, attestations, artifacts."""

from __future__ import annotations

import socket
from typing import Final

import httpx
import pytest

from tests.parts.registry import Running
from tests.registry.v2 import documents, places
from tests.registry.v2.answers import files, listed
from tests.registry.v2.documents import (
    AMD64,
    DOCKER_LIST,
    EMPTY,
    LAYER,
    OCI_IMAGE,
    OCI_INDEX,
    descriptor,
    digest,
    media_type,
    noise,
)
from tests.registry.v2.pushing import Repository, size

pytestmark = places.everywhere

FOREIGN: Final = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
NONDISTRIBUTABLE: Final = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
CACHE_CONFIG: Final = "application/vnd.buildkit.cacheconfig.v0"
IN_TOTO: Final = "application/vnd.in-toto+json"


@pytest.fixture
def repository(admin: httpx.Client, name: str) -> Repository:
    """With the empty blob in it."""
    made = Repository(admin, name)
    made.blob(EMPTY)
    return made


@pytest.mark.parametrize(
    "body",
    [
        documents.image(), documents.image(layers=None), documents.image(mediaType=None), documents.index(),
        documents.index(mediaType=DOCKER_LIST), documents.image(artifactType="application/vnd.example", annotations={}),
    ],
    ids=["no layers", "no list of layers", "no type", "an empty index", "an empty list", "an artifact"],
)  # fmt: skip
def test_nearly_empty_manifests_are_manifests(repository: Repository, body: bytes) -> None:
    assert repository.put(body, "1", media_type(body)).status_code == 201
    assert repository.get("1").content == body
    assert repository.delete("1").status_code == 202
    assert not repository.knows(digest(body))


@pytest.mark.parametrize("kind", [FOREIGN, NONDISTRIBUTABLE])
def test_a_foreign_layer_stays_where_it_is(repository: Repository, kind: str) -> None:
    """Its addresses are only data: nobody is asked for them."""
    own, far = noise(), noise()
    repository.blob(own)
    with socket.create_server(("127.0.0.1", 0)) as trap:
        urls = [f"http://127.0.0.1:{trap.getsockname()[1]}/{digest(far)}"]
        body = documents.image(layers=[descriptor(far, kind, urls=urls), descriptor(own, LAYER)])
        assert repository.put(body, "1").status_code == 201
        assert repository.get("1").content == body
        assert not repository.holds(digest(far))
        trap.settimeout(0.3)
        with pytest.raises(TimeoutError):
            trap.accept()
    assert repository.delete("1").status_code == 202
    assert not repository.holds(digest(own))


def test_an_ordinary_layer_with_addresses_must_be_there(repository: Repository) -> None:
    body = documents.image(layers=[descriptor(noise(), LAYER, urls=["http://127.0.0.1:1/x"])])
    assert listed(repository.put(body, "1"))[0]["code"] == "MANIFEST_BLOB_UNKNOWN"


def test_a_foreign_layer_that_was_pushed_is_held_like_any_other(door: Running, repository: Repository) -> None:
    layer = noise()
    repository.blob(layer)
    body = documents.image(layers=[descriptor(layer, FOREIGN, urls=["http://127.0.0.1:1/x"])])
    repository.manifest(body, "1")
    assert repository.holds(digest(layer))
    repository.delete("1")
    assert files(door, digest(layer)) == []


def test_a_layer_that_is_named_many_times_is_held_once(door: Running, repository: Repository) -> None:
    layer = noise()
    pushed = repository.image(*[layer] * 5, tag="1")
    config = documents.config()
    repository.blob(config)
    repository.manifest(documents.image(layer, layer, config=config), "2")
    layers = repository.http.get(f"/api/layers/{digest(layer)}").json()
    assert layers["cnt"] == 2
    repository.delete("2")
    assert repository.holds(digest(layer))
    assert repository.delete(pushed).status_code == 202
    assert files(door, digest(layer), digest(config)) == []


def test_the_config_may_be_a_layer_too(door: Running, repository: Repository) -> None:
    both = documents.config()
    repository.image(both, config=both, tag="1")
    assert repository.delete("1").headers["Pier-Freed-Bytes"] == str(len(both))
    assert files(door, digest(both)) == []


def test_indexes_nest_and_fall_together(door: Running, repository: Repository) -> None:
    one, two = noise(), noise()
    inner = repository.index(repository.image(one), repository.image(two))
    outer = repository.index(inner, repository.image(one, two), tag="1")
    assert repository.pulled("1") == outer
    assert repository.pulled(inner) == inner
    assert repository.delete("1").status_code == 202
    assert not repository.knows(inner)
    assert files(door, digest(one), digest(two)) == []


def test_a_tower_of_indexes_is_built_and_torn_down(door: Running, repository: Repository) -> None:
    layer = noise()
    top = repository.image(layer)
    for _ in range(200):
        top = repository.index(top)
    repository.index(top, tag="1")
    assert repository.holds(digest(layer))
    assert repository.delete("1").status_code == 202
    assert not repository.knows(top)
    assert files(door, digest(layer)) == []


def test_a_child_that_two_indexes_hold_stays_with_one(repository: Repository) -> None:
    child = repository.image(noise())
    repository.index(child, tag="1")
    repository.index(child, tag="2", annotations={"second": "1"})
    repository.delete("1")
    assert repository.pulled(child) == child
    repository.delete("2")
    assert not repository.knows(child)


def test_a_child_that_is_named_twice_is_held_once(repository: Repository) -> None:
    child = repository.image(noise())
    repository.index(child, child, tag="1")
    repository.delete("1")
    assert not repository.knows(child)


def test_a_child_with_a_tag_of_its_own_outlives_its_index(repository: Repository) -> None:
    child = repository.image(noise(), tag="child")
    repository.index(child, tag="1")
    repository.delete("1")
    assert repository.pulled("child") == child
    repository.delete("child")
    assert not repository.knows(child)


def test_a_build_cache_that_lists_blobs_in_an_index_is_kept_whole(door: Running, repository: Repository) -> None:
    """As buildkit's older layout does it."""
    layers, settings = [noise(3000), noise(4000)], noise(500)
    for data in (*layers, settings):
        repository.blob(data)
    listed_blobs = [descriptor(data, LAYER) for data in layers] + [descriptor(settings, CACHE_CONFIG)]
    cache = repository.manifest(documents.index(manifests=listed_blobs), "cache")
    assert repository.pulled("cache") == cache
    assert [repository.read(digest(data)).content for data in layers] == layers
    answer = repository.delete("cache")
    assert answer.headers["Pier-Freed-Bytes"] == str(size(*layers, settings))
    assert files(door, *map(digest, [*layers, settings])) == []


def test_a_build_cache_needs_its_blobs(repository: Repository) -> None:
    absent = noise()
    answer = repository.put(documents.index(manifests=[descriptor(absent, CACHE_CONFIG)]), "cache")
    assert [each["detail"]["digest"] for each in listed(answer)] == [digest(absent)]


def test_an_image_with_its_attestation_is_pushed_pulled_and_freed(door: Running, repository: Repository) -> None:
    """As buildx pushes every image."""
    layer, statement = noise(), noise(700)
    repository.blob(layer)
    repository.blob(statement)
    image = documents.image(layer)
    attestation = documents.image(layers=[descriptor(statement, IN_TOTO)])
    for body in (image, attestation):
        repository.manifest(body)
    about = {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": digest(image)}
    unknown = {"architecture": "unknown", "os": "unknown"}
    children = [
        descriptor(attestation, OCI_IMAGE, platform=unknown, annotations=about),
        descriptor(image, OCI_IMAGE, platform=AMD64),
    ]
    index = repository.manifest(documents.index(manifests=children), "1")
    assert repository.get("1", Accept=OCI_INDEX).headers["Docker-Content-Digest"] == index
    assert repository.get("1", Accept=OCI_IMAGE).headers["Docker-Content-Digest"] == digest(image)
    assert repository.pulled(digest(attestation)) == digest(attestation)
    repository.delete("1")
    assert not repository.knows(digest(image))
    assert not repository.knows(digest(attestation))
    assert files(door, digest(layer), digest(statement)) == []


def test_a_chart_or_any_other_artifact_is_as_good_as_an_image(door: Running, repository: Repository) -> None:
    chart, config = noise(), b'{"name":"chart","version":"1.0.0+build"}'
    repository.blob(config)
    repository.blob(chart)
    body = documents.image(
        config=config,
        layers=[descriptor(chart, "application/vnd.cncf.helm.chart.content.v1.tar+gzip")],
    ).replace(documents.OCI_CONFIG.encode(), b"application/vnd.cncf.helm.config.v1+json")
    repository.manifest(body, "1.0.0_build")
    assert repository.get("1.0.0_build").content == body
    repository.delete("1.0.0_build")
    assert files(door, digest(chart)) == []


def test_a_manifest_and_its_blobs_may_all_have_sha512_digests(door: Running, repository: Repository) -> None:
    layer = noise()
    name = repository.blob(layer, "sha512")
    body = documents.image(layers=[descriptor(layer, LAYER, digest=name)])
    repository.put(body, digest(body, "sha512"))
    index = documents.index(manifests=[descriptor(body, OCI_IMAGE, digest=digest(body, "sha512"))])
    repository.manifest(index, "1")
    assert repository.read(name).content == layer
    assert repository.pulled(digest(body, "sha512")) == digest(body, "sha512")
    repository.delete("1")
    assert not repository.knows(digest(body, "sha512"))
    assert files(door, name) == []


def test_after_all_this_every_count_is_right(door: Running) -> None:
    places.sound(door)
