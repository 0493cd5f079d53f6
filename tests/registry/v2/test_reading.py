"""Blobs as clients fetch them: whole, in part, over every version of http, and never as a page."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

import httpx
import pytest

from tests.parts.registry import Running
from tests.registry.protocol.doors import Raw, basic
from tests.registry.v2 import documents
from tests.registry.v2.answers import connect, refusal
from tests.registry.v2.documents import digest, noise
from tests.registry.v2.pushing import Repository

SIZE: Final = 10_000


@pytest.fixture
def layer() -> bytes:
    return noise(SIZE)


@pytest.fixture
def path(repository: Repository, layer: bytes) -> str:
    """Of the layer, which an image holds."""
    repository.image(layer, tag="1")
    return repository.path(f"blobs/{digest(layer)}")


def test_a_blob_comes_with_all_that_clients_look_at(admin: httpx.Client, path: str, layer: bytes) -> None:
    answer = admin.get(path)
    assert (answer.status_code, answer.content) == (200, layer)
    assert answer.headers["Content-Length"] == str(SIZE)
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Docker-Content-Digest"] == digest(layer)
    assert answer.headers["ETag"] == f'"{digest(layer)}"'
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert "Content-Encoding" not in answer.headers
    assert "Set-Cookie" not in answer.headers


def test_head_tells_what_get_tells(admin: httpx.Client, path: str) -> None:
    full, bare = admin.get(path), admin.head(path)
    told = ("Content-Length", "Content-Type", "Docker-Content-Digest", "ETag", "Accept-Ranges")
    assert {name: bare.headers[name] for name in told} == {name: full.headers[name] for name in told}
    assert (bare.status_code, bare.content) == (200, b"")


def test_nothing_is_packed_on_the_way(admin: httpx.Client, repository: Repository) -> None:
    text = b"a" * 100_000
    repository.blob(text)
    answer = admin.get(repository.path(f"blobs/{digest(text)}"), headers={"Accept-Encoding": "gzip, br"})
    assert "Content-Encoding" not in answer.headers
    assert answer.headers["Content-Length"] == "100000"


@pytest.mark.parametrize(
    ("told", "first", "last"),
    [("500-1499", 500, 1499), ("500-", 500, 9999), ("-500", 9500, 9999), ("0-0", 0, 0), ("9999-", 9999, 9999),
     ("9000-20000", 9000, 9999), ("-20000", 0, 9999), ("0-", 0, 9999), ("0-99999999999999999", 0, 9999)],
)  # fmt: skip
def test_a_part_of_a_blob_comes_as_asked(
    admin: httpx.Client, path: str, layer: bytes, told: str, first: int, last: int
) -> None:
    answer = admin.get(path, headers={"Range": f"bytes={told}"})
    assert (answer.status_code, answer.content) == (206, layer[first : last + 1])
    assert answer.headers["Content-Range"] == f"bytes {first}-{last}/{SIZE}"
    assert answer.headers["Content-Length"] == str(last - first + 1)
    assert answer.headers["Docker-Content-Digest"] == digest(layer)


@pytest.mark.parametrize("told", ["500-0", "10000-", "10000-10001", "99999-", "-0"])
def test_a_part_that_is_not_there_is_refused(admin: httpx.Client, path: str, told: str) -> None:
    answer = admin.get(path, headers={"Range": f"bytes={told}"})
    assert refusal(answer)[0] == 416
    assert answer.headers["Content-Range"] == f"bytes */{SIZE}"


@pytest.mark.parametrize("told", ["bytes=0-1,5-9", "bytes=0-1, -5", "bytes=0-0,9999-9999,5000-5001"])
def test_parts_of_a_blob_come_together_or_the_whole_does(
    admin: httpx.Client, path: str, layer: bytes, told: str
) -> None:
    answer = admin.get(path, headers={"Range": told})
    if answer.status_code == 206:
        assert answer.headers["Content-Type"].startswith("multipart/byteranges; boundary=")
        for part in told.removeprefix("bytes=").split(","):
            first, _, last = part.strip().partition("-")
            wanted = layer[int(first) : int(last) + 1] if first else layer[-int(last) :]
            assert wanted in answer.content
    else:
        assert (answer.status_code, answer.content) == (200, layer)


@pytest.mark.parametrize(
    "told", ["x", "bytes", "bytes=", "bytes=x", "bytes=1", "lines=0-5", "bytes=--1", "bytes=0-5" + ",0-5" * 500]
)
def test_a_range_that_is_none_is_ignored_or_refused(admin: httpx.Client, path: str, layer: bytes, told: str) -> None:
    answer = admin.get(path, headers={"Range": told})
    assert answer.status_code in {200, 206, 400, 416}
    if answer.status_code == 200:
        assert answer.content == layer


def test_a_part_of_something_else_is_not_given(admin: httpx.Client, path: str, layer: bytes) -> None:
    """If-Range names what the client has the rest of."""
    same = admin.get(path, headers={"Range": "bytes=10-19", "If-Range": f'"{digest(layer)}"'})
    assert same.status_code in {200, 206}
    other = admin.get(path, headers={"Range": "bytes=10-19", "If-Range": '"other"'})
    assert (other.status_code, other.content) == (200, layer)


def test_who_has_a_blob_already_is_told_so(admin: httpx.Client, path: str, layer: bytes) -> None:
    answer = admin.get(path, headers={"If-None-Match": f'"{digest(layer)}"'})
    assert answer.status_code in {200, 304}
    assert answer.content == (layer if answer.status_code == 200 else b"")


def test_a_blob_that_looks_like_a_page_is_never_shown_as_one(admin: httpx.Client, repository: Repository) -> None:
    page = b"<html><script>alert(1)</script></html>"
    repository.blob(page)
    answer = admin.get(repository.path(f"blobs/{digest(page)}"), headers={"Accept": "text/html"})
    assert answer.content == page
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("header", ["X-Accel-Redirect", "X-Sendfile", "X-Original-URL", "X-Rewrite-URL"])
def test_a_client_cannot_choose_the_file(admin: httpx.Client, path: str, layer: bytes, header: str) -> None:
    answer = admin.get(path, headers={header: "/_layers/../users.htpasswd"})
    assert answer.content == layer
    assert header not in answer.headers


def test_a_body_on_a_read_does_not_disturb_the_next_request(door: Running, path: str, layer: bytes) -> None:
    with Raw(door) as wire:
        for method in ("GET", "HEAD", "GET"):
            answer = wire.ask(f"{method} {path}", basic(door), "Content-Length: 5\r\n", body=b"hello")
            assert answer.status == 200
        assert answer.body == layer


def test_a_refused_body_does_not_disturb_the_next_request(door: Running, path: str, layer: bytes) -> None:
    with Raw(door) as wire:
        wire.say(
            "PUT /v2/a/b/manifests/1 HTTP/1.1\r\nHost: localhost\r\n", basic(door), "Content-Length: 5\r\n\r\nhello"
        )
        assert wire.answer("PUT").status == 400
        assert wire.ask(f"GET {path}", basic(door)).body == layer


@pytest.mark.parametrize("part", ["", "Range: bytes=10-19\r\n"])
def test_http_1_0_is_enough_for_reading(door: Running, path: str, layer: bytes, part: str) -> None:
    with Raw(door) as wire:
        wire.say(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n", basic(door), part, "\r\n")
        answer = wire.answer()
    assert answer.body == (layer[10:20] if part else layer)


class Curl:
    """The program, logged in; returns what it printed."""

    def __init__(self, running: Running) -> None:
        login = ["--user", f"admin:{running.password}", "--cacert", str(running.ca)]
        self._command = ["curl", "--silent", "--show-error", "--fail-with-body", "--max-time", "60", *login]
        self._url = running.url

    def __call__(self, path: str, *arguments: str | Path) -> bytes:
        command = [*self._command, *map(str, arguments), self._url + path]
        done = subprocess.run(command, capture_output=True, timeout=90, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.mark.parametrize("version", ["--http1.0", "--http1.1", "--http2"])
@pytest.mark.parametrize("waiting", [True, False], ids=["Expect: 100-continue", "at once"])
def test_curl_pushes_and_pulls_over_every_version(
    door: Running, name: str, tmp_path: Path, version: str, waiting: bool
) -> None:
    curl, layer = Curl(door), tmp_path / "layer"
    layer.write_bytes(noise(3 << 20))
    blob = digest(layer.read_bytes())
    expect = ("--header", "Expect: 100-continue" if waiting else "Expect:", version)
    curl(f"/v2/{name}/blobs/uploads/?digest={blob}", *expect, "--data-binary", f"@{layer}")
    curl(f"/v2/{name}/blobs/uploads/?digest={digest(b'{}')}", *expect, "--data-binary", "{}")
    manifest = tmp_path / "manifest"
    manifest.write_bytes(documents.image(layer.read_bytes()))
    curl(
        f"/v2/{name}/manifests/1",
        *expect,
        "--upload-file",
        manifest,
        "--header",
        f"Content-Type: {documents.OCI_IMAGE}",
    )
    assert curl(f"/v2/{name}/manifests/1", version) == manifest.read_bytes()
    assert digest(curl(f"/v2/{name}/blobs/{blob}", version)) == blob
    assert curl(f"/v2/{name}/blobs/{blob}", version, "--range", "5-9") == layer.read_bytes()[5:10]
    assert b"HTTP/" in curl(f"/v2/{name}/blobs/{blob}", version, "--head")


def test_a_stream_over_http_2_arrives_whole(nginx: Running, name: str, tmp_path: Path) -> None:
    """Without a length, as docker streams it."""
    curl, layer = Curl(nginx), tmp_path / "layer"
    layer.write_bytes(noise(20 << 20))
    with connect(nginx) as client:
        repository = Repository(client, name)
        place = repository.begin()
        curl(place, "--http2", "--request", "PATCH", "--upload-file", layer, "--header", "Content-Length:")
        assert repository.finish(place, digest(layer.read_bytes())).status_code == 201


def test_a_refusal_that_comes_before_the_body_is_told(door: Running, name: str) -> None:
    """A client that waits for leave gets the answer instead."""
    with Raw(door) as wire:
        wire.say(f"PATCH /v2/{name}/blobs/uploads/{'0' * 8} HTTP/1.1\r\nHost: localhost\r\n", basic(door))
        wire.say("Content-Length: 10\r\nExpect: 100-continue\r\n\r\n")
        wire.say(b"0123456789")
        answer = wire.answer("PATCH")
        assert answer.status in {400, 404}
        assert answer.json()["errors"][0]["code"] == "BLOB_UPLOAD_UNKNOWN"


def test_an_empty_blob_is_read_like_any_other(admin: httpx.Client, repository: Repository) -> None:
    repository.blob(b"")
    path = repository.path(f"blobs/{digest(b'')}")
    assert admin.get(path).content == b""
    assert admin.head(path).headers["Content-Length"] == "0"
    assert admin.get(path, headers={"Range": "bytes=0-"}).status_code in {200, 416}
