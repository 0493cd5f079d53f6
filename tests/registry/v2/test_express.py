"""Requests on a kept connection are answered to the byte as those on a new one, which gunicorn reads."""

from __future__ import annotations

import hashlib
import json
import socket
from collections.abc import Iterator
from http.client import HTTPResponse
from pathlib import Path
from typing import Final

import httpx
import pytest

from pier_registry.settings import Settings
from tests.parts.registry import Running, registry
from tests.registry.access.door import basic

NAME: Final = "kept/app"
MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
BLOB: Final = b"{}"
LARGE: Final = b"l" * 100_000


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


IMAGE: Final = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": "application/vnd.test", "digest": digest(BLOB), "size": len(BLOB)},
        "layers": [{"mediaType": "application/vnd.test", "digest": digest(LARGE), "size": len(LARGE)}],
    }
).encode()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with registry(tmp_path_factory.mktemp("express") / "data", workers=1, login_failures=1000) as made:
        with made.client() as client:
            _push(client)
        yield made


def _push(client: httpx.Client) -> None:
    for blob in (BLOB, LARGE):
        pushed = client.post(f"/v2/{NAME}/blobs/uploads/", params={"digest": digest(blob)}, content=blob)
        assert pushed.status_code == 201
    headers = {"Content-Type": MANIFEST}
    assert client.put(f"/v2/{NAME}/manifests/1", content=IMAGE, headers=headers).status_code == 201


class Wire:
    """A connection to the worker, as nginx keeps one."""

    def __init__(self, running: Running) -> None:
        (place,) = Settings(data=running.data, workers=1).worker_sockets or [running.data / "run" / "none"]
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(10)
        self.socket.connect(str(Path(place)))

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def ask(self, *pieces: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        for piece in pieces:
            self.socket.sendall(piece)
        answer = HTTPResponse(self.socket, method=pieces[0].partition(b" ")[0].decode("latin-1"))
        answer.begin()
        headers = [(name.lower(), value) for name, value in answer.getheaders()]
        told = [each for each in headers if each[0] not in {"date", "server", "connection"}]
        return answer.status, sorted(told), answer.read()


def head(running: Running, path: str, *lines: str, method: str = "GET", version: str = "1.1") -> bytes:
    login = f"Authorization: {basic('admin', running.password)}"
    told = [f"{method} {path} HTTP/{version}", "Host: localhost", "X-Forwarded-Proto: https", login, *lines]
    return "".join(f"{line}\r\n" for line in told).encode("latin-1") + b"\r\n"


PATHS: Final = [
    f"/v2/{NAME}/manifests/1",
    f"/v2/{NAME}/manifests/{digest(IMAGE)}",
    f"/v2/{NAME}/blobs/{digest(BLOB)}",
    f"/v2/{NAME}/blobs/{digest(LARGE)}",
    f"/v2/{NAME}/manifests/absent",
    f"/v2/{NAME}/blobs/{digest(b'absent')}",
    f"/v2/{NAME}/blobs/sha256:short",
    "/v2/absent/manifests/1",
    f"/v2/{NAME}/../{NAME}/manifests/1",
    f"/v2//{NAME}/manifests/1",
    f"/v2/{NAME}/manifests/1?digest=x",
    f"/v2/{NAME}/tags/list",
    "/v2/",
    "/v1/_ping",
]


def kept(running: Running) -> Wire:
    wire = Wire(running)
    assert wire.ask(head(running, "/v2/"))[0] == 200
    return wire


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "get", "OPTIONS"])
def test_a_kept_connection_answers_alike(running: Running, path: str, method: str) -> None:
    if method == "DELETE":
        path = path.replace(NAME, "nobody/app")  # the images are needed
    _alike(running, head(running, path, method=method))


@pytest.mark.parametrize(
    "lines",
    [
        [f"Accept: {MANIFEST}"],
        ["Accept: application/json", f"Accept: {MANIFEST}"],
        ["Accept:application/json"],
        ["Accept:  application/json"],
        ["Accept: "],
        ["accept: application/json"],
        ["User-Agent: docker/1.5.0 go/go1.4"],
        ["User-Agent: \xe4\xf6"],
        [f'If-None-Match: "{digest(IMAGE)}"'],
        ["Range: bytes=0-9"],
        ["Range: bytes=9999999-"],
        ["X-Pier-Private: 1"],
        ["Connection: close"],
        ["Connection: keep-alive"],
        ["Content-Length: 0"],
        ["Content-Length: x"],
        ["Expect: 100-continue"],
        ["Upgrade: h2c"],
        ["Bad Name: 1"],
        ["Bad_Name: 1"],
        [": 1"],
        ["None"],
        [" folded: 1"],
        ["X: a\x00b"],
        ["X: a\nb: c"],
        ["X: a\rb"],
        ["Host: other"],
        [f"X: {'y' * 15_000}"],
        [f"X: {'y' * 20_000}"],
    ],
)
@pytest.mark.parametrize("path", PATHS[:4])
def test_headers_are_understood_alike(running: Running, path: str, lines: list[str]) -> None:
    _alike(running, head(running, path, *lines))


def test_an_older_version_is_answered_alike(running: Running) -> None:
    _alike(running, head(running, PATHS[0], version="1.0"))


def test_a_head_that_comes_in_pieces_is_answered_alike(running: Running) -> None:
    whole = head(running, PATHS[0])
    for cut in (1, 10, len(whole) // 2, len(whole) - 1):
        _alike(running, whole[:cut], whole[cut:])


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 2\r\n\r\n{}", b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"]
)
def test_a_body_is_no_next_request(running: Running, framing: bytes) -> None:
    asked = head(running, PATHS[0])[:-2] + framing
    with kept(running) as wire:
        assert wire.ask(asked)[2] == IMAGE
        assert wire.ask(head(running, PATHS[2]))[2] == BLOB


def test_requests_that_come_together_are_all_answered(running: Running) -> None:
    with kept(running) as wire:
        wire.socket.sendall(b"".join(head(running, path) for path in (PATHS[0], PATHS[2], PATHS[1])))
        came = b""
        while came.count(b"HTTP/1.1 200 OK") < 3 or not came.endswith(IMAGE):
            came += wire.socket.recv(1 << 16)
        assert came.index(IMAGE) < came.index(b"\r\n\r\n{}") < came.rindex(IMAGE)


def test_a_connection_answers_many(running: Running) -> None:
    with kept(running) as wire:
        for _ in range(100):
            for path, content in ((PATHS[0], IMAGE), (PATHS[2], BLOB)):
                assert wire.ask(head(running, path))[2] == content


def _alike(running: Running, *asked: bytes) -> None:
    with Wire(running) as first, kept(running) as second:
        assert _answered(second, *asked) == _answered(first, *asked)


def _answered(wire: Wire, *asked: bytes) -> object:
    """What comes, if only the end of the connection."""
    try:
        return wire.ask(*asked)
    except ConnectionError as ended:
        return type(ended)
