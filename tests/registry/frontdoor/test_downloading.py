"""Layers go out by nginx, on the word of the registry alone."""

from __future__ import annotations

import pytest

from tests.registry.frontdoor.door import LOGIN, Door

CONTENT = b"hello layers"


@pytest.fixture(autouse=True)
def layer(door: Door) -> None:
    door.layer("sha256/ab/file", CONTENT)


def test_a_layer_comes_with_what_the_registry_said_of_it(door: Door) -> None:
    got = door.ask("/v1/file/sha256/ab/file")
    assert (got.status, got.body) == (200, CONTENT)
    said = {name: got.headers[name] for name in ("etag", "docker-content-digest", "x-docker-size", "cache-control")}
    assert said == {
        "etag": '"sha256:abc"',
        "docker-content-digest": "sha256:abc",
        "x-docker-size": "12",
        "cache-control": "max-age=31536000",
    }
    assert got.headers["content-type"] == "application/vnd.test.layer"
    assert got.headers["x-docker-registry-version"] == "stub"
    assert got.headers["last-modified"] == "Thu, 01 Jan 2015 00:00:00 GMT"
    assert "x-accel-redirect" not in got.headers


@pytest.mark.parametrize(
    ("asked", "given", "span"),
    [
        ("bytes=2-4", CONTENT[2:5], "bytes 2-4/12"),
        ("bytes=6-", CONTENT[6:], "bytes 6-11/12"),
        ("bytes=6-12", CONTENT[6:], "bytes 6-11/12"),
        ("bytes=-3", CONTENT[-3:], "bytes 9-11/12"),
    ],
)
def test_a_range_is_cut_by_nginx(door: Door, asked: str, given: bytes, span: str) -> None:
    got = door.ask("/v1/file/sha256/ab/file", LOGIN | {"Range": asked})
    assert (got.status, got.body) == (206, given)
    assert got.headers["content-range"] == span
    assert got.headers["docker-content-digest"] == "sha256:abc"


def test_the_registry_can_have_a_range_ignored(door: Door) -> None:
    got = door.ask("/v1/file/sha256/ab/file?whole", LOGIN | {"Range": "bytes=2-4"})
    assert (got.status, got.body) == (200, CONTENT)


def test_a_range_behind_the_end_is_refused_as_json(door: Door) -> None:
    got = door.ask("/v1/file/sha256/ab/file", LOGIN | {"Range": "bytes=90-"})
    assert got.status == 416
    assert got.json == {"error": "the range lies outside of the layer"}


def test_head_tells_the_length_without_the_bytes(door: Door) -> None:
    got = door.ask("/v1/file/sha256/ab/file", method="HEAD")
    assert (got.status, got.body, got.headers["content-length"]) == (200, b"", "12")


def test_a_date_condition_does_not_turn_a_layer_into_304(door: Door) -> None:
    got = door.ask("/v1/file/sha256/ab/file", LOGIN | {"If-Modified-Since": "Fri, 01 Jan 2038 00:00:00 GMT"})
    assert got.status == 200


@pytest.mark.parametrize("path", ["sha256/ab/none", "sha256/ab/none?whole", "sha256/ab/"])
def test_a_file_that_is_gone_is_an_image_not_found_that_nobody_may_keep(door: Door, path: str) -> None:
    got = door.ask(f"/v1/file/{path}")
    assert (got.status, got.json) == (404, {"error": "Image not found"})
    assert got.headers["cache-control"] == "no-store"
    assert got.headers["x-docker-registry-version"] == "0.9.1"
    assert "docker-content-digest" not in got.headers
