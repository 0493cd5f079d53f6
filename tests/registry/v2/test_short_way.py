"""Pulls that go round Flask are answered to the byte as Flask answers them, and to nobody else."""

from __future__ import annotations

import atexit
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
from flask import Flask
from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder, run_wsgi_app

from pier_registry.app import create_app
from pier_registry.preparing import prepare
from pier_registry.settings import Settings
from tests.registry.access.door import basic, line

NAME: Final = "kept/app"
MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
INDEX: Final = "application/vnd.oci.image.index.v1+json"
PASSWORDS: Final = {name: f"password of {name}" for name in ("admin", "reader", "writer", "stranger")}
RIGHTS: Final = """users:
  reader: [{role: pull, repositories: "*"}]
  writer: [{role: push, repositories: "*"}]
  stranger: [{role: push, repositories: "other/*"}]
"""


def sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


SMALL, LARGE, LOST, LOOSE = b"{}", b"l" * 20_000, b"lost", b"of no manifest"


def manifest(*layers: bytes) -> bytes:
    named = [{"mediaType": "application/vnd.test", "digest": sha256(each), "size": len(each)} for each in layers]
    return json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": named[0], "layers": named}).encode()


IMAGE: Final = manifest(SMALL, LARGE, LOST)
MANY: Final = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": [
            {
                "mediaType": MANIFEST,
                "digest": sha256(IMAGE),
                "size": len(IMAGE),
                "platform": {"architecture": "amd64", "os": "linux"},
            }
        ],
    }
).encode()
LOGINS: Final = {name: basic(name, password) for name, password in PASSWORDS.items()}
NO_LOGINS: Final = {
    "nothing": None,
    "empty": basic("", ""),
    "guess": basic("reader", "guess"),
    "bearer": "Bearer x.y",
    "garbage": "Basic !",
}

PLAIN: Final = [
    f"/v2/{NAME}/manifests/1",
    f"/v2/{NAME}/manifests/many",
    f"/v2/{NAME}/manifests/{sha256(IMAGE)}",
    f"/v2/{NAME}/blobs/{sha256(SMALL)}",
    f"/v2/{NAME}/blobs/{sha256(LARGE)}",
    "/v2/short/manifests/1",
]
OTHERS: Final = [
    f"/v2/{NAME}/manifests/absent",
    f"/v2/{NAME}/manifests/{sha256(b'absent')}",
    f"/v2/{NAME}/manifests/sha256:short",
    f"/v2/{NAME}/manifests/.hidden",
    f"/v2/{NAME}/manifests/1/",
    f"/v2/{NAME}/manifests/1?n=1",
    f"/v2/{NAME}/manifests/%31",
    f"/v2/{NAME}//manifests/1",
    f"/v2//{NAME}/manifests/1",
    "/v2/Kept/app/manifests/1",
    "/v2/kept/../kept/app/manifests/1",
    f"/v2/{NAME}/manifests/manifests/1",
    f"/v2/{NAME}/blobs/{sha256(b'absent')}",
    f"/v2/{NAME}/blobs/{sha256(LOST)}",
    f"/v2/{NAME}/blobs/{sha256(LOOSE)}",
    f"/v2/{NAME}/blobs/md5:{'0' * 32}",
    f"/v2/{NAME}/blobs/uploads",
    f"/v2/{NAME}/blobs/uploads/",
    f"/v2/other/app/blobs/{sha256(SMALL)}",
    f"/v2/{NAME}/tags/list",
]
SAID: Final[list[dict[str, str]]] = [
    {},
    {"Accept": MANIFEST},
    {"Accept": f"{MANIFEST};q=1, {INDEX}"},
    {"Range": "bytes=1-3"},
    {"Range": "bytes=99999999-"},
    {"Range": "bytes=0-1", "If-Range": '"x"'},
    {"If-None-Match": f'"{sha256(IMAGE)}", W/"{sha256(MANY)}"'},
    {"User-Agent": "docker/1.7.1 go/go1.4"},
    {"User-Agent": "containerd/2.0"},
    {"X-Pier-Client": "192.0.2.7"},
]

Told = tuple[str, list[tuple[str, str]], bytes]


@dataclass(slots=True)
class Ways:
    """The application with its short way in front, and Flask's way alone; `flask` counts what comes to Flask."""

    app: Flask
    flask: list[str | None] = field(default_factory=list)

    def watch(self) -> None:
        """Before the gate is asked, which may refuse."""
        self.app.url_value_preprocessor(lambda endpoint, _values: self.flask.append(endpoint))

    def short(self, path: str, login: str | None, said: dict[str, str] | None = None, method: str = "GET") -> Told:
        return told(self.app.wsgi_app, path, login, said, method)

    def long(self, path: str, login: str | None, said: dict[str, str] | None = None, method: str = "GET") -> Told:
        return told(partial(Flask.wsgi_app, self.app), path, login, said, method)

    def goes_short(self, path: str, login: str | None, said: dict[str, str] | None = None, method: str = "GET") -> bool:
        before = len(self.flask)
        self.short(path, login, said, method)
        return len(self.flask) == before


def told(way: Any, path: str, login: str | None, said: dict[str, str] | None, method: str) -> Told:
    headers = dict(said or {}) | ({} if login is None else {"Authorization": login})
    environ = EnvironBuilder(path.partition("?")[0], method=method, headers=Headers(headers)).get_environ()
    raw, _, query = path.partition("?")
    environ |= {"RAW_URI": path, "PATH_INFO": raw.replace("%31", "1"), "QUERY_STRING": query}
    pieces, status, sent = run_wsgi_app(way, environ)
    return status, list(sent), b"".join(pieces)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry's folder with an image, an index, the image under a short name, and a blob whose file is lost."""
    data = tmp_path_factory.mktemp("ways")
    (data / "users.htpasswd").write_text("".join(line(name, password) for name, password in PASSWORDS.items()))
    (data / "rights.yaml").write_text(RIGHTS)
    prepare(Settings(data=data))
    return data


@pytest.fixture(scope="module")
def opened(data: Path) -> Iterator[Callable[[bool], Ways]]:
    """Closed, or with anonymous pull."""
    stops: list[Callable[[], object]] = []
    made: dict[bool, Ways] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(atexit, "register", stops.append)
        for anonymous in (False, True):
            settings = replace(Settings(data=data, login_failures=1_000_000), anonymous_pull=anonymous)
            ways = made[anonymous] = Ways(create_app(settings))
            ways.watch()
    fill(made[False].app, data)
    yield made.__getitem__
    for stop in stops:
        stop()
    for ways in made.values():
        ways.app.extensions["pier"].registry.metadata.close()


def fill(app: Flask, data: Path) -> None:
    client, said = app.test_client(), {"Authorization": LOGINS["admin"]}
    for name in (NAME, "short"):
        for blob in (SMALL, LARGE, LOST, LOOSE):
            at = f"/v2/{name}/blobs/uploads/?digest={sha256(blob)}"
            assert client.post(at, data=blob, headers=said).status_code == 201
        for tag, body, kind in (("1", IMAGE, MANIFEST), ("many", MANY, INDEX)):
            put = client.put(f"/v2/{name}/manifests/{tag}", data=body, headers=said | {"Content-Type": kind})
            assert put.status_code == 201, put.text
    lost = sha256(LOST).partition(":")[2]
    for file in (data / "layers").rglob(f"{lost}.*"):
        file.unlink()


def token(ways: Ways, login: str | None) -> str:
    body = ways.long("/v2/token", login)[2]
    return f"Bearer {json.loads(body)['token']}"


def logins(ways: Ways, anonymous: bool) -> dict[str, str | None]:
    """Everybody, each known already."""
    found: dict[str, str | None] = {**LOGINS, **NO_LOGINS}
    if anonymous:
        found |= {"token of reader": token(ways, LOGINS["reader"]), "token of nobody": token(ways, None)}
    for said in SAID:
        for login in found.values():
            ways.long("/v2/", login, said)
    return found


def questions() -> Iterator[tuple[str, dict[str, str], str]]:
    """Path, headers and method."""
    for path in PLAIN + OTHERS:
        for said in SAID if path in PLAIN else SAID[:1]:
            for method in ("GET", "HEAD"):
                yield path, said, method


@pytest.mark.parametrize("anonymous", [False, True], ids=["closed", "open"])
def test_both_ways_say_the_same_to_everybody(opened: Callable[[bool], Ways], anonymous: bool) -> None:
    ways = opened(anonymous)
    differing = []
    for who, login in logins(ways, anonymous).items():
        for path, said, method in questions():
            short, long = ways.short(path, login, said, method), ways.long(path, login, said, method)
            if short != long:
                differing.append(f"{who}: {method} {path} {said}: {short}, not {long}")
    assert differing == []


@pytest.mark.parametrize("path", PLAIN)
def test_a_plain_read_by_somebody_known_does_without_flask(opened: Callable[[bool], Ways], path: str) -> None:
    ways = opened(False)
    logins(ways, anonymous=False)
    assert ways.short(path, LOGINS["reader"])[0].startswith("200")
    assert {name: ways.goes_short(path, LOGINS[name]) for name in ("reader", "writer", "admin")} == {
        "reader": True,
        "writer": True,
        "admin": True,
    }
    assert ways.goes_short(path, LOGINS["reader"], method="HEAD")


def test_with_anonymous_pull_so_does_one_by_anybody(opened: Callable[[bool], Ways]) -> None:
    ways = opened(True)
    known = logins(ways, anonymous=True)
    short = [who for who, login in known.items() if ways.goes_short(PLAIN[0], login)]
    assert set(short) == {"admin", "reader", "writer", "nothing", "empty", "token of reader", "token of nobody"}


@pytest.mark.parametrize("path", OTHERS)
def test_what_is_refused_is_refused_by_flask(opened: Callable[[bool], Ways], path: str) -> None:
    ways = opened(False)
    logins(ways, anonymous=False)
    assert not ways.goes_short(path, LOGINS["stranger"])


def test_a_promise_is_written_behind_flask(opened: Callable[[bool], Ways]) -> None:
    ways = opened(False)
    logins(ways, anonymous=False)
    assert not ways.goes_short(PLAIN[3], LOGINS["writer"], method="HEAD")


def test_a_password_is_tried_behind_flask_once(data: Path) -> None:
    ways = Ways(create_app(Settings(data=data)))
    ways.watch()
    asked = [ways.goes_short(PLAIN[0], LOGINS["reader"]) for _ in range(3)]
    assert asked == [False, True, True]
    ways.app.extensions["pier"].registry.metadata.close()


def test_a_right_that_is_taken_away_is_gone_with_the_next_read(opened: Callable[[bool], Ways], data: Path) -> None:
    ways = opened(False)
    logins(ways, anonymous=False)
    assert ways.goes_short(PLAIN[0], LOGINS["reader"])
    (data / "rights.yaml").write_text(RIGHTS.replace('{role: pull, repositories: "*"}', ""))
    try:
        assert ways.short(PLAIN[0], LOGINS["reader"])[0].startswith("403")
    finally:
        (data / "rights.yaml").write_text(RIGHTS)


def test_a_user_who_is_removed_is_out_with_the_next_read(opened: Callable[[bool], Ways], data: Path) -> None:
    ways, users = opened(False), data / "users.htpasswd"
    logins(ways, anonymous=False)
    before = users.read_text()
    assert ways.goes_short(PLAIN[0], LOGINS["reader"])
    users.write_text("".join(each for each in before.splitlines(keepends=True) if not each.startswith("reader:")))
    try:
        assert ways.short(PLAIN[0], LOGINS["reader"])[0].startswith("401")
    finally:
        users.write_text(before)


def test_a_tag_that_moves_is_seen_by_the_next_read(opened: Callable[[bool], Ways]) -> None:
    ways = opened(False)
    logins(ways, anonymous=False)
    client, said = ways.app.test_client(), {"Authorization": LOGINS["admin"], "Content-Type": MANIFEST}
    for body in (manifest(SMALL), manifest(LARGE), manifest(SMALL, LARGE)):
        assert client.put("/v2/short/manifests/moving", data=body, headers=said).status_code == 201
        assert ways.goes_short("/v2/short/manifests/moving", LOGINS["reader"])
        assert ways.short("/v2/short/manifests/moving", LOGINS["reader"])[2] == body
