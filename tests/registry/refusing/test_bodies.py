"""Bodies that are too large, cut short, slow or malformed: refused with an answer that the client can read."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.clients.v1_model import Layer
from tests.parts.registry import Running
from tests.registry.protocol.doors import Raw, basic, opened
from tests.registry.protocol.pushing import error, fresh_id, image, put_image, put_json
from tests.registry.storage.bodies import MIB, gzip_of_zeros, tar

LARGE = 48 * MIB


def streamed(size: int = LARGE) -> Iterator[bytes]:
    piece = bytes(65536)
    for _ in range(size // len(piece)):
        yield piece


@pytest.mark.usefixtures("unchanged")
def test_a_large_upload_that_is_refused_at_once_reads_its_answer(door: Running, admin: httpx.Client) -> None:
    unknown = f"/v1/images/{fresh_id()}/layer"
    assert error(admin.put(unknown, content=streamed())) == (404, "Image not found")
    assert error(admin.put(unknown, content=bytes(LARGE))) == (404, "Image not found")


@pytest.mark.usefixtures("unchanged")
def test_a_large_upload_with_a_wrong_password_reads_401(door: Running) -> None:
    for content in (streamed(), bytes(LARGE)):
        with door.client("admin", "wrong") as stranger:
            assert stranger.put(f"/v1/images/{fresh_id()}/layer", content=content).status_code == 401


@pytest.mark.usefixtures("unchanged")
def test_a_large_upload_of_what_is_there_reads_409(admin: httpx.Client, kept: Layer) -> None:
    assert error(admin.put(f"/v1/images/{kept.id}/layer", content=streamed())) == (409, "Image already exists")


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("size", [(1 << 20) + 1, 10 * MIB])
def test_an_image_json_beyond_the_limit_is_413(admin: httpx.Client, size: int) -> None:
    path = f"/v1/images/{fresh_id()}/json"
    assert error(admin.put(path, content=bytes(size)))[0] == 413
    assert error(admin.put(path, content=iter([bytes(65536)] * (size // 65536 + 1))))[0] == 413


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("path", ["a/b/", "a/b/images", "kept/app/tags/1", "kept/app/properties"])
def test_a_small_body_that_is_large_is_413(admin: httpx.Client, path: str) -> None:
    assert error(admin.put(f"/v1/repositories/{path}", content=b" " * (2 * MIB)))[0] == 413


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    "body", [b"[" * 200_000, b'{"a":' * 100_000, b"1" * 10_000, b'"\\ud800"', b"NaN", b"\x00" * 100]
)
def test_json_that_is_meant_to_hurt_is_refused_quickly(admin: httpx.Client, body: bytes) -> None:
    begun = time.monotonic()
    for path in (
        f"/v1/images/{fresh_id()}/json",
        "/v1/repositories/kept/app/properties",
        "/v1/repositories/kept/app/tags/1",
    ):
        assert 400 <= admin.put(path, content=body).status_code < 500
    assert time.monotonic() - begun < 3


@pytest.mark.parametrize(
    "framing",
    [b"zz\r\nabcd\r\n0\r\n\r\n", b"-4\r\nabcd\r\n0\r\n\r\n", b"4\r\nabcdX\r\n0\r\n\r\n", b"\r\n\r\n"],
    ids=repr,
)  # fmt: skip
def test_chunks_that_are_none_are_400_and_end_the_connection(
    door: Running, admin: httpx.Client, framing: bytes
) -> None:
    layer = image()
    put_json(admin, layer)
    with Raw(door) as wire:
        wire.say(f"PUT /v1/images/{layer.id}/layer HTTP/1.1\r\nHost: localhost\r\n", basic(door))
        wire.say("Transfer-Encoding: chunked\r\n\r\n", framing)
        assert wire.answer("PUT").status == 400
        assert wire.closed()
    put_image(admin, layer)


def test_a_length_and_chunks_together_are_refused_without_nginx_too(door: Running) -> None:
    with Raw(door) as wire:
        wire.say("PUT /v1/users/x/ HTTP/1.1\r\nHost: localhost\r\n", basic(door))
        wire.say("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
        wire.say("GET /v1/_ping HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert wire.answer("PUT").status == 400
        assert wire.closed()


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "PUT", "POST"])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_body_that_nobody_reads_does_not_become_the_next_request(door: Running, method: str, framing: str) -> None:
    smuggled = b"GET /api/usage HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with Raw(door) as wire:
        wire.say(f"{method} /v1/users/x/ HTTP/1.1\r\nHost: localhost\r\n", basic(door))
        if framing == "length":
            wire.say(f"Content-Length: {len(smuggled)}\r\n\r\n", smuggled)
        else:
            wire.say("Transfer-Encoding: chunked\r\n\r\n", f"{len(smuggled):x}\r\n", smuggled, "\r\n0\r\n\r\n")
        assert wire.answer(method).status in {204, 404, 405}
        wire.say("GET /v1/_ping HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert wire.answer().body == b"{}"


@pytest.mark.usefixtures("unchanged")
def test_a_refusal_instead_of_100_continue_leaves_the_connection_in_step_or_closed(door: Running) -> None:
    with Raw(door) as wire:
        wire.say(f"PUT /v1/images/{fresh_id()}/layer HTTP/1.1\r\nHost: localhost\r\n", basic(door))
        wire.say("Content-Length: 10\r\nExpect: 100-continue\r\n\r\n")
        wire.say(b"0123456789")
        assert wire.answer("PUT").status == 404
        wire.say("GET /v1/_ping HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert wire.answer().body == b"{}"


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("framing", ["Content-Length: 1000000", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize("sent", [10, 100_000])
def test_a_refusal_before_the_end_of_the_body_says_that_the_connection_ends(
    door: Running, framing: str, sent: int
) -> None:
    """Who would send the next request on it, as a proxy with kept connections does, gets no answer."""
    begin = f"{sent:x}\r\n".encode() if "chunked" in framing else b""
    with Raw(door) as wire:
        wire.say(f"PUT /v1/images/{fresh_id()}/layer HTTP/1.1\r\nHost: localhost\r\n", basic(door))
        wire.say(f"{framing}\r\n\r\n", begin, b"x" * sent)
        answer = wire.answer("PUT")
        assert answer.status == 404
        assert "x-pier-unread" not in answer.headers
        if not door.arguments:
            assert answer.headers["connection"] == "close"


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_after_a_refusal_with_its_whole_body_the_connection_is_kept(door: Running, method: str) -> None:
    with Raw(door) as wire:
        for _ in range(3):
            answer = wire.ask(
                f"{method} /v1/images/{fresh_id()}/layer", basic(door), "Content-Length: 60000\r\n", body=bytes(60_000)
            )
            assert answer.status in {404, 405}
            assert answer.headers.get("connection", "keep-alive") == "keep-alive"


def test_strangers_with_slow_bodies_do_not_keep_others_waiting(tmp_path: Path) -> None:
    """More of them than the registry has threads; they are told no, and let go."""
    with opened(tmp_path, "nginx", threads=4, login_failures=1000) as door, ExitStack() as stack:
        slow = [stack.enter_context(Raw(door)) for _ in range(20)]
        for wire in slow:
            wire.say(
                f"PUT /v1/images/{fresh_id()}/layer HTTP/1.1\r\nHost: localhost\r\n", basic(door, "admin", "wrong")
            )
            wire.say("Content-Length: 1000000\r\n\r\n", b"x")
        begun = time.monotonic()
        assert door.client().get("/v1/users/").status_code == 200
        assert time.monotonic() - begun < 15
        assert {wire.answer("PUT").status for wire in slow} == {401}


@pytest.mark.parametrize("kind", ["bomb", "tar"])
def test_archives_that_are_meant_to_hurt_are_stored_and_never_unpacked(
    door: Running, admin: httpx.Client, name: str, kind: str
) -> None:
    content = gzip_of_zeros(256 * MIB) if kind == "bomb" else tar(**{"../../../escaped": b"x", "/etc/cron.d/x": b"y"})
    own = fresh_id()
    layer = Layer(own, f'{{"id":"{own}"}}'.encode(), None, content)
    before = {path for path in door.data.parent.rglob("*") if path.is_file() and "layers" not in path.parts}
    begun = time.monotonic()
    put_image(admin, layer)
    assert time.monotonic() - begun < 20
    assert admin.put(f"/v1/repositories/{name}/tags/1", json=own).status_code == 200
    assert admin.get(f"/v1/images/{own}/layer").content == content
    after = {path for path in door.data.parent.rglob("*") if path.is_file() and "layers" not in path.parts}
    assert {path.name for path in after - before} <= {"pier.sqlite3-wal", "pier.sqlite3-shm", "pier.sqlite3.lock"}


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    "headers", [{"X-Docker-Checksum-Payload": "x" * 8000}, {"X-Docker-Checksum-Payload": "sha256:" + "0" * 64}]
)
def test_a_checksum_of_nothing_is_refused(admin: httpx.Client, headers: dict[str, str]) -> None:
    assert error(admin.put(f"/v1/images/{fresh_id()}/checksum", headers=headers)) == (404, "Image not found")
