"""What comes down is what went up: json, ancestry, and layers whole or in ranges."""

from __future__ import annotations

import httpx
import pytest

from tests.clients.v1_model import Layer
from tests.parts.registry import Running
from tests.registry.protocol.doors import Raw, basic, user
from tests.registry.protocol.pushing import (
    blob,
    digest,
    error,
    fresh_id,
    image,
    payload,
    push,
    pushed,
    put_image,
    put_tag,
)


@pytest.fixture(scope="session")
def layer(door: Running, admin: httpx.Client) -> Layer:
    return pushed(admin, "download/app", size=100_000)[0]


def get_range(client: httpx.Client, layer: Layer, asked: str, **headers: str) -> httpx.Response:
    return client.get(f"/v1/images/{layer.id}/layer", headers={"Range": asked, **headers})


def test_a_json_comes_with_size_and_checksum(admin: httpx.Client, layer: Layer) -> None:
    answer = admin.get(f"/v1/images/{layer.id}/json")
    assert (answer.status_code, answer.content) == (200, layer.json)
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["X-Docker-Size"] == str(len(blob(layer)))
    assert answer.headers["X-Docker-Checksum-Payload"] == payload(layer)


def test_a_layer_comes_byte_for_byte(admin: httpx.Client, layer: Layer) -> None:
    answer = admin.get(f"/v1/images/{layer.id}/layer")
    assert (answer.status_code, answer.content) == (200, blob(layer))
    wanted = {
        "Content-Type": "application/octet-stream",
        "Content-Length": str(len(blob(layer))),
        "Accept-Ranges": "bytes",
        "ETag": f'"{digest(layer)}"',
    }
    assert {name: answer.headers[name] for name in wanted} == wanted
    assert "Content-Encoding" not in answer.headers


def test_a_browser_is_told_to_keep_a_layer_as_a_file(admin: httpx.Client, layer: Layer) -> None:
    assert admin.get(f"/v1/images/{layer.id}/layer").headers["Content-Disposition"] == "attachment"


def test_a_browser_is_told_not_to_guess_what_a_layer_is(admin: httpx.Client, layer: Layer) -> None:
    assert admin.get(f"/v1/images/{layer.id}/layer").headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("part", ["json", "layer", "ancestry"])
def test_what_can_be_deleted_is_kept_by_no_shared_cache(admin: httpx.Client, layer: Layer, part: str) -> None:
    answer = admin.get(f"/v1/images/{layer.id}/{part}")
    assert answer.headers["Cache-Control"] == "private, max-age=60"
    assert answer.headers["Last-Modified"] == "Thu, 01 Jan 1970 00:00:00 GMT"
    assert "Pragma" not in answer.headers


@pytest.mark.parametrize("part", ["json", "layer", "ancestry"])
def test_existence_is_checked_before_any_condition(admin: httpx.Client, layer: Layer, part: str) -> None:
    condition = {"If-Modified-Since": "Thu, 01 Jan 1970 00:00:00 GMT"}
    assert admin.get(f"/v1/images/{fresh_id()}/{part}", headers=condition).status_code == 404
    assert admin.get(f"/v1/images/{layer.id}/{part}", headers=condition).status_code == 200


@pytest.mark.parametrize("part", ["json", "layer", "ancestry"])
def test_an_unknown_image_is_not_found(admin: httpx.Client, part: str) -> None:
    assert error(admin.get(f"/v1/images/{fresh_id()}/{part}")) == (404, "Image not found")


def test_an_ancestry_starts_with_the_image_and_ends_with_its_root(admin: httpx.Client, name: str) -> None:
    chain = pushed(admin, name, depth=4)
    for place, one in enumerate(chain):
        told = admin.get(f"/v1/images/{one.id}/ancestry").json()
        assert told == [each.id for each in reversed(chain[: place + 1])]


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-9", 0, 10),
        ("bytes=5-5", 5, 6),
        ("bytes=100-", 100, None),
        ("bytes=-7", -7, None),
        ("bytes=0-", 0, None),
    ],
)
def test_a_range_is_answered_with_its_bytes(
    admin: httpx.Client, layer: Layer, asked: str, start: int, end: int | None
) -> None:
    answer = get_range(admin, layer, asked)
    expected = blob(layer)[start:end]
    begin = start % len(blob(layer))
    assert (answer.status_code, answer.content) == (206, expected)
    assert answer.headers["Content-Range"] == f"bytes {begin}-{begin + len(expected) - 1}/{len(blob(layer))}"
    assert answer.headers["Content-Length"] == str(len(expected))
    assert answer.headers["Accept-Ranges"] == "bytes"


def test_docker_resumes_with_an_end_one_past_the_last_byte(admin: httpx.Client, layer: Layer) -> None:
    size = len(blob(layer))
    answer = get_range(admin, layer, f"bytes=4000-{size}")
    assert (answer.status_code, answer.content) == (206, blob(layer)[4000:])
    assert answer.headers["Content-Range"] == f"bytes 4000-{size - 1}/{size}"


def test_an_end_far_beyond_is_clamped(admin: httpx.Client, layer: Layer) -> None:
    answer = get_range(admin, layer, "bytes=4000-999999999999")
    assert (answer.status_code, answer.content) == (206, blob(layer)[4000:])


def test_a_suffix_longer_than_the_layer_is_all_of_it(admin: httpx.Client, layer: Layer) -> None:
    answer = get_range(admin, layer, "bytes=-99999999")
    assert (answer.status_code, answer.content) == (206, blob(layer))


@pytest.mark.parametrize("beyond", [0, 1, 10**12])
def test_a_start_beyond_the_end_is_an_empty_416(admin: httpx.Client, layer: Layer, beyond: int) -> None:
    size = len(blob(layer))
    for asked in (f"bytes={size + beyond}-{size}", f"bytes={size + beyond}-"):
        answer = get_range(admin, layer, asked)
        assert (answer.status_code, answer.content) == (416, b"")
        assert answer.headers["Content-Length"] == "0"
        assert answer.headers["Content-Range"] == f"bytes */{size}"


@pytest.mark.parametrize(
    "asked",
    [
        "bytes=9-3", "bytes=0-1,5-6", "bytes=", "bytes=-", "bytes=a-b", "bytes", "items=0-5", "0-5", "bytes=1-2-3",
        "bytes=0x1-0x5", "bytes=+1-5", "bytes=--5", "bytes=1.0-5", "bytes=0-" + "9" * 40, "bytes=" + "9" * 5000 + "-",
    ],
    ids=lambda asked: asked[:24],
)  # fmt: skip
def test_a_range_that_is_malformed_or_several_is_ignored(admin: httpx.Client, layer: Layer, asked: str) -> None:
    answer = get_range(admin, layer, asked)
    assert (answer.status_code, answer.content) == (200, blob(layer))
    assert "Content-Range" not in answer.headers


@pytest.mark.parametrize("condition", ['"other"', "Thu, 01 Jan 1970 00:00:00 GMT", "nonsense"])
def test_a_conditional_range_gets_the_whole(admin: httpx.Client, layer: Layer, condition: str) -> None:
    answer = get_range(admin, layer, "bytes=0-9", **{"If-Range": condition})
    assert (answer.status_code, answer.content) == (200, blob(layer))


def test_several_range_headers_do_not_break_anything(door: Running, layer: Layer) -> None:
    with Raw(door) as wire:
        twice = ("Range: bytes=0-3\r\n", "Range: bytes=5-9\r\n")
        answer = wire.ask(f"GET /v1/images/{layer.id}/layer", basic(door), *twice, "Connection: close\r\n")
    assert answer.status in {200, 206, 400}


def test_an_empty_layer_is_200_with_length_0_whatever_is_asked(admin: httpx.Client, name: str) -> None:
    own = fresh_id()
    empty = Layer(own, f'{{"id":"{own}"}}'.encode(), None, b"")
    push(admin, name, "1", empty)
    answer = admin.get(f"/v1/images/{own}/layer")
    assert (answer.status_code, answer.content, answer.headers["Content-Length"]) == (200, b"", "0")
    assert get_range(admin, empty, "bytes=0-").status_code == 416


@pytest.mark.parametrize("part", ["json", "layer", "ancestry"])
def test_head_is_a_get_without_a_body(admin: httpx.Client, layer: Layer, part: str) -> None:
    head, got = (admin.request(method, f"/v1/images/{layer.id}/{part}") for method in ("HEAD", "GET"))
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Content-Length"] == str(len(got.content))
    assert head.headers["Content-Type"] == got.headers["Content-Type"]


@pytest.mark.parametrize("part", ["json", "layer", "ancestry"])
def test_head_of_an_unknown_image_is_404(admin: httpx.Client, part: str) -> None:
    assert admin.head(f"/v1/images/{fresh_id()}/{part}").status_code == 404


@pytest.mark.parametrize(
    "path",
    ["/_ping", "/v1/_ping", "/v1/users/", "/v1/repositories/download/app/images", "/v1/repositories/download/app/tags",
     "/v1/repositories/download/app/tags/latest", "/v1/repositories/download/app/json",
     "/v1/repositories/download/app/properties", "/v1/search", "/v1/allnamespaces", "/v1/alltags?q=download"],
)  # fmt: skip
def test_every_read_takes_head(admin: httpx.Client, layer: Layer, path: str) -> None:
    answer = admin.head(path)
    assert (answer.status_code, answer.content) == (200, b"")


def test_after_a_head_the_connection_is_in_step(door: Running, layer: Layer) -> None:
    with Raw(door) as wire:
        assert wire.ask(f"HEAD /v1/images/{layer.id}/layer", basic(door)).status == 200
        assert wire.ask("GET /v1/_ping").body == b"{}"


def test_json_is_never_compressed_layers_neither(admin: httpx.Client, layer: Layer) -> None:
    for part in ("json", "layer"):
        answer = admin.get(f"/v1/images/{layer.id}/{part}", headers={"Accept-Encoding": "gzip"})
        assert "Content-Encoding" not in answer.headers


def test_images_are_read_with_pull_right_on_some_repository_that_holds_them(
    door: Running, admin: httpx.Client, name: str
) -> None:
    reader = user(door, "reader", "pull", "shared/*")
    base, other = image(), image()
    push(admin, name, "1", base, image(base))
    push(admin, name, "2", other)
    for part in ("json", "layer", "ancestry"):
        assert error(reader.get(f"/v1/images/{base.id}/{part}")) == (404, "Image not found")
    child = image(base)
    put_image(admin, child)
    put_tag(admin, "shared/app", "1", child.id)
    for part in ("json", "layer", "ancestry"):
        assert reader.get(f"/v1/images/{base.id}/{part}").status_code == 200
        assert reader.get(f"/v1/images/{other.id}/{part}").status_code == 404
