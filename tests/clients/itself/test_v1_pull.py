"""Pulling and logging in as docker does, with its retries, its resumed downloads and its words."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from tests.clients.itself.conftest import Connect, image
from tests.clients.itself.scripted import Seen, Server, TinyRegistry, answer
from tests.clients.v1 import ClientError

VERSIONS = ["1.4.1", "1.6.2", "1.9.1", "1.13.1"]
TOP = image("base").top.id
LAYER = f"GET /v1/images/{TOP}/layer"


@pytest.fixture
def stored(registry: TinyRegistry) -> bytes:
    """The layer of an image that is there as team/app:v1, far larger than one read."""
    top = image("base").top
    registry.jsons[TOP], registry.checksums[TOP], registry.tags["v1"] = top.json, ("", ""), TOP
    registry.layers[TOP] = b"".join(hashlib.sha256(str(n).encode()).digest() for n in range(10_000))
    return registry.layers[TOP]


def break_off(registry: TinyRegistry, data: bytes, *lengths: int) -> None:
    """The first answers to a layer request end after so many bytes; a 206 begins where it was asked to."""
    left = list(lengths)

    def broken(seen: Seen) -> bytes | None:
        whole = registry.ranged(seen, data)
        return whole[: whole.index(b"\r\n\r\n") + 4 + left.pop(0)] if left else whole

    registry.rule("GET /v1/images/.*/layer", broken)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", ["team/app", "app"])
def test_what_is_pulled_is_what_was_pushed(connect: Connect, version: str, name: str) -> None:
    client, pushed = connect(version), image("base", "app")
    sent = client.push(name, {"v1": pushed}).layers
    pulled = client.pull(name, "v1")["v1"]
    assert pulled.id == pushed.top.id
    assert [(layer.id, layer.json) for layer in pulled.layers] == [(layer.id, layer.json) for layer in pushed.layers]
    for layer in pulled.layers:
        there = sent[layer.id]
        assert (layer.layer_sha256, layer.size) == (there.sha256, there.size)
        assert layer.uncompressed_sha256 == there.uncompressed_sha256


def test_a_pull_keeps_layers_on_disk_when_asked(connect: Connect, registry: TinyRegistry, tmp_path: Path) -> None:
    client, pushed = connect(), image("base")
    client.push("team/app", {"v1": pushed})
    client.pull("team/app", "v1", into=tmp_path)
    assert (tmp_path / f"{pushed.top.id}.layer").read_bytes() == registry.layers[pushed.top.id]


def test_old_engines_take_json_and_layer_in_turns(connect: Connect, server: Server) -> None:
    client = connect("1.9.1")
    client.push("team/app", {"v1": image("base", "app")})
    server.seen.clear()
    client.pull("team/app", "v1")
    parts = [line.rpartition("/")[2] for line in server.lines if "/images/" in line]
    assert parts == ["ancestry", "json", "layer", "json", "layer"]


def test_new_engines_take_every_json_first(connect: Connect, server: Server) -> None:
    client = connect("1.13.1")
    client.push("team/app", {"v1": image("base", "app")})
    server.seen.clear()
    client.pull("team/app", "v1")
    parts = [line.rpartition("/")[2] for line in server.lines if "/v1/images/" in line]
    assert parts == ["ancestry", "json", "json", "layer", "layer"]


@pytest.mark.parametrize(("version", "tags"), [("1.6.2", "tags"), ("1.9.1", "tags/v1"), ("1.13.1", "tags/v1")])
def test_a_short_name_gains_its_namespace_for_tags_alone(
    connect: Connect, server: Server, stored: bytes, version: str, tags: str
) -> None:
    connect(version).pull("app", "v1")
    asked = [line for line in server.lines if "/v1/repositories/" in line]
    assert asked == ["GET /v1/repositories/app/images", f"GET /v1/repositories/library/app/{tags}"]


@pytest.mark.parametrize("version", VERSIONS)
def test_without_a_tag_all_are_pulled_and_a_shared_layer_once(connect: Connect, server: Server, version: str) -> None:
    client = connect(version)
    client.push("team/app", {"v1": image("base", "app"), "v2": image("base", "web")})
    server.seen.clear()
    assert set(client.pull("team/app")) == {"v1", "v2"}
    assert server.lines.count(LAYER) == 1


@pytest.mark.parametrize("version", VERSIONS)
def test_a_missing_tag_is_told(connect: Connect, server: Server, stored: bytes, version: str) -> None:
    with pytest.raises(ClientError, match=f"^Tag v9 not found in repository {server.host}/team/app$"):
        connect(version).pull("team/app", "v9")


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (404, "Error: image team/app:v1 not found"),
        (401, "Authentication is required."),
        (500, 'Error: Status 500 trying to pull repository team/app: ""'),
    ],
)
def test_a_refused_list_of_images_is_told(connect: Connect, registry: TinyRegistry, status: int, message: str) -> None:
    registry.rule("GET /v1/repositories/.*/images", answer(status))
    with pytest.raises(ClientError, match=f"^{message}$"):
        connect().pull("team/app", "v1")


def test_an_echoed_tag_makes_docker_fetch_an_image_that_is_gone(
    connect: Connect, registry: TinyRegistry, stored: bytes
) -> None:
    listed = [{"id": TOP}, {"id": "f" * 64, "Tag": "deleted"}]
    registry.rule("GET /v1/repositories/.*/images", answer(200, json.dumps(listed)))
    with pytest.raises(ClientError, match=r"Error pulling image \(deleted\) .* Server error: 404 trying to fetch"):
        connect().pull("team/app")


def test_without_endpoints_the_same_host_is_assumed(connect: Connect, registry: TinyRegistry, stored: bytes) -> None:
    registry.rule("GET /v1/repositories/.*/images", answer(200, "[]"))
    assert connect().pull("team/app", "v1")["v1"].id == TOP


@pytest.mark.parametrize(("version", "works"), [("1.6.2", True), ("1.9.1", False), ("1.13.1", False)])
def test_newer_engines_refuse_short_ids(connect: Connect, registry: TinyRegistry, version: str, works: bool) -> None:
    registry.jsons["a" * 16], registry.checksums["a" * 16], registry.layers["a" * 16] = b'{"a": 1}', ("", ""), b"x"
    registry.tags["v1"] = "a" * 16
    if works:
        assert connect(version).pull("team/app", "v1")["v1"].id == "a" * 16
    else:
        with pytest.raises(ClientError, match="is invalid"):
            connect(version).pull("team/app", "v1")


def test_an_empty_ancestry_is_refused(connect: Connect, registry: TinyRegistry, stored: bytes) -> None:
    registry.rule("GET /v1/images/.*/ancestry", answer(200, "[]"))
    with pytest.raises(ClientError, match="empty history for image"):
        connect().pull("team/app", "v1")


def test_a_json_is_tried_five_times(connect: Connect, server: Server, registry: TinyRegistry, stored: bytes) -> None:
    waits: list[float] = []
    registry.rule("GET /v1/images/.*/json", answer(400, '{"error": "Image is being uploaded, retry later"}'))
    with pytest.raises(ClientError, match="HTTP code 400"):
        connect(wait=waits.append).pull("team/app", "v1")
    assert (server.lines.count(f"GET /v1/images/{TOP}/json"), waits) == (5, [0.5, 1.0, 1.5, 2.0])


def test_a_size_that_is_no_number_fails_the_pull(connect: Connect, registry: TinyRegistry, stored: bytes) -> None:
    registry.rule("GET /v1/images/.*/json", answer(200, "{}", X_Docker_Size="many"))
    with pytest.raises(ClientError, match='parsing "many"'):
        connect().pull("team/app", "v1")


def test_a_broken_download_is_resumed_to_one_past_the_end(
    connect: Connect, server: Server, registry: TinyRegistry, stored: bytes
) -> None:
    waits: list[float] = []
    break_off(registry, stored, 100_000, 50_000)
    pulled = connect(wait=waits.append).pull("team/app", "v1")["v1"]
    asked = [seen.header("Range") for seen in server.seen if seen.line == LAYER]
    assert asked == [None, f"bytes=100000-{len(stored)}", f"bytes=150000-{len(stored)}"]
    assert (pulled.layers[0].layer_sha256, waits) == (hashlib.sha256(stored).hexdigest(), [5, 5])


def test_a_resumed_download_needs_206(connect: Connect, registry: TinyRegistry, stored: bytes) -> None:
    full = answer(200, stored, Accept_Ranges="bytes")
    registry.rule("GET /v1/images/.*/layer", lambda seen: full if seen.header("Range") else full[:5000])
    with pytest.raises(ClientError, match="the server doesn't support byte ranges"):
        connect().pull("team/app", "v1")


def test_a_download_is_not_resumed_where_ranges_are_not_offered(
    connect: Connect, registry: TinyRegistry, stored: bytes
) -> None:
    registry.rule("GET /v1/images/.*/layer", answer(200, stored)[:5000])
    with pytest.raises(ClientError, match=r"unexpected EOF: .* bytes are missing"):
        connect().pull("team/app", "v1")


@pytest.mark.parametrize("cut_after", [1, 70_000, 319_999])
def test_a_download_cut_anywhere_is_resumed_whole(
    connect: Connect, stored: bytes, tmp_path: Path, cut_after: int
) -> None:
    told = connect().pull_layer_resuming(TOP, cut_after, tmp_path / "layer")
    assert (told.status, told.content_range) == (206, f"bytes {cut_after}-319999/320000")
    assert (tmp_path / "layer").read_bytes() == stored
    assert (told.size, told.sha256) == (320_000, hashlib.sha256(stored).hexdigest())


def test_a_download_cut_at_its_very_end_wants_an_empty_416(connect: Connect, stored: bytes, tmp_path: Path) -> None:
    told = connect().pull_layer_resuming(TOP, len(stored), tmp_path / "layer")
    assert (told.status, told.size) == (416, len(stored))


def test_a_416_with_a_body_is_not_the_end(
    connect: Connect, registry: TinyRegistry, stored: bytes, tmp_path: Path
) -> None:
    full = answer(200, stored, Accept_Ranges="bytes")
    refused = answer(416, "range not satisfiable")
    registry.rule("GET /v1/images/.*/layer", lambda seen: refused if seen.header("Range") else full)
    with pytest.raises(ClientError, match="doesn't support byte ranges"):
        connect().pull_layer_resuming(TOP, len(stored), tmp_path / "layer")


def test_a_layer_with_a_content_encoding_is_refused(connect: Connect, registry: TinyRegistry, stored: bytes) -> None:
    registry.rule("GET /v1/images/.*/layer", answer(200, stored, Content_Encoding="gzip"))
    with pytest.raises(ClientError, match="Content-Encoding"):
        connect().pull("team/app", "v1")


def test_a_tag_is_deleted_at_its_address(connect: Connect, server: Server, registry: TinyRegistry) -> None:
    registry.rule("DELETE .*", answer(200, "true", Pier_Freed_Bytes="12"))
    told = connect().delete_tag("team/app", "v1")
    assert (server.lines[-1], told.header("Pier-Freed-Bytes")) == ("DELETE /v1/repositories/team/app/tags/v1", "12")
