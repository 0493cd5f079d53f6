"""Layers go out by nginx, on the word of the registry alone."""

from __future__ import annotations

import json
from email.parser import BytesParser
from email.policy import HTTP

import pytest

from tests.registry.frontdoor.door import LOGIN, Door

CONTENT = b"hello layers"


@pytest.fixture(autouse=True)
def layer(door: Door) -> None:
    door.layer("sha256/ab/file", CONTENT)


@pytest.fixture(params=["", "warm/"], ids=["cold", "warm"])
def file(request: pytest.FixtureRequest) -> str:
    """The layer's address; what is in memory goes another way, on which nothing else may differ."""
    return f"/v1/file/{request.param}sha256/ab/file"


def test_a_layer_comes_with_what_the_registry_said_of_it(door: Door, file: str) -> None:
    got = door.ask(file)
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
def test_a_range_is_cut_by_nginx(door: Door, file: str, asked: str, given: bytes, span: str) -> None:
    got = door.ask(file, LOGIN | {"Range": asked})
    assert (got.status, got.body) == (206, given)
    assert got.headers["content-range"] == span
    assert got.headers["docker-content-digest"] == "sha256:abc"


def test_the_registry_can_have_a_range_ignored(door: Door, file: str) -> None:
    got = door.ask(f"{file}?whole", LOGIN | {"Range": "bytes=2-4"})
    assert (got.status, got.body) == (200, CONTENT)


def test_a_range_behind_the_end_is_refused_as_json(door: Door, file: str) -> None:
    got = door.ask(file, LOGIN | {"Range": "bytes=90-"})
    assert got.status == 416
    assert got.json == {"error": "the range lies outside of the layer"}


def test_head_tells_the_length_without_the_bytes(door: Door, file: str) -> None:
    got = door.ask(file, method="HEAD")
    assert (got.status, got.body, got.headers["content-length"]) == (200, b"", "12")


def test_a_date_condition_does_not_turn_a_layer_into_304(door: Door, file: str) -> None:
    got = door.ask(file, LOGIN | {"If-Modified-Since": "Fri, 01 Jan 2038 00:00:00 GMT"})
    assert got.status == 200


@pytest.mark.parametrize(
    "path", ["sha256/ab/none", "sha256/ab/none?whole", "sha256/ab/", "warm/sha256/ab/none", "warm/sha256/ab/none?whole"]
)
def test_a_file_that_is_gone_is_an_image_not_found_that_nobody_may_keep(door: Door, path: str) -> None:
    got = door.ask(f"/v1/file/{path}")
    assert (got.status, got.json) == (404, {"error": "Image not found"})
    assert got.headers["cache-control"] == "no-store"
    assert got.headers["x-docker-registry-version"] == "0.9.1"
    assert "docker-content-digest" not in got.headers


def test_a_blob_of_v2_says_that_it_is_one(door: Door) -> None:
    got = door.ask("/v2/file/sha256/ab/file")
    assert (got.status, got.body) == (200, CONTENT)
    assert got.headers["docker-distribution-api-version"] == "registry/2.0"


def test_several_ranges_of_a_blob_come_as_parts(door: Door) -> None:
    got = door.ask("/v2/file/sha256/ab/file", LOGIN | {"Range": "bytes=0-1,5-8,-2"})
    assert got.status == 206
    message = BytesParser(policy=HTTP).parsebytes(
        b"Content-Type: " + got.headers["content-type"].encode() + b"\r\n\r\n" + got.body
    )
    parts = [(part["Content-Range"], part.get_payload(decode=True)) for part in message.iter_parts()]
    assert parts == [
        ("bytes 0-1/12", CONTENT[:2]),
        ("bytes 5-8/12", CONTENT[5:9]),
        ("bytes 10-11/12", CONTENT[-2:]),
    ]
    assert got.headers["content-type"].startswith("multipart/byteranges; boundary=")
    assert got.headers["docker-content-digest"] == "sha256:abc"


def lines_and_body(door: Door, path: str, *headers: str) -> tuple[list[str], bytes]:
    """The header lines as they came, in lower case, and the body."""
    asked = [f"GET {path} HTTP/1.1", "Host: x", "Authorization: x", "Connection: close", *headers]
    head, _, body = door.say("\r\n".join([*asked, "", ""]).encode()).partition(b"\r\n\r\n")
    return head.decode().lower().split("\r\n"), body


@pytest.mark.parametrize("asked", ["bytes=90-", "bytes=90-91,95-", "bytes=5-0"])
def test_a_range_outside_of_a_blob_is_refused_in_the_shape_of_v2(door: Door, asked: str) -> None:
    lines, body = lines_and_body(door, "/v2/file/sha256/ab/file", f"Range: {asked}")
    assert lines[0].startswith("http/1.1 416 ")
    assert json.loads(body)["errors"][0]["code"] == "RANGE_INVALID"
    assert lines.count("content-range: bytes */12") == 1
    assert lines.count("content-type: application/json") == 1
    assert lines.count("docker-distribution-api-version: registry/2.0") == 1


def test_a_blob_whose_file_is_gone_is_unknown(door: Door) -> None:
    lines, body = lines_and_body(door, "/v2/file/sha256/ab/none")
    assert lines[0].startswith("http/1.1 404 ")
    assert json.loads(body)["errors"][0]["code"] == "BLOB_UNKNOWN"
    assert lines.count("docker-distribution-api-version: registry/2.0") == 1
    assert "cache-control: no-store" in lines
