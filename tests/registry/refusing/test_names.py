"""Names that are none, or that try to become paths: 400 or 404, the same at both doors, and nothing happens."""

from __future__ import annotations

from urllib.parse import quote

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.parts.registry import Running
from tests.registry.protocol.doors import Answer, Raw, basic
from tests.registry.protocol.pushing import error, pushed, put_tag

NAMES = [
    *[
        r"a/../b",
        r"a/..",
        r"../a",
        r"./a",
        r"a/./b",
        r"a//b",
        r"/a",
        r"%2e%2e/a",
        r"a/%2e%2e/b",
        r"a%2f..%2fb",
        r"%252e%252e/a",
        r"a%252fb",
        r"a%5cb",
        r"a\b",
        r"a;x",
        r"a%3bx",
        r"a%0ab",
        r"a%0d%0ab",
        r"a%00b",
        r"a%09b",
        r"a%20b",
        r"a%7fb",
        r"A/b",
        r"Team/App",
        r"a/B",
        r"%C3%A4/b",
        r"%E2%98%83",
        r"%FF",
        r"%C0%AE%C0%AE/a",
        r"-a/b",
        r"a-/b",
        r"_a/b",
        r"a/b.",
        r"a/.b",
        r"a/b_",
        r"a___b/c",
        r"a..b/c",
        r"a/b:c",
        r"a@b/c",
        r"a+b/c",
        r"a*b/c",
        r"a'b/c",
        r"a%22b/c",
        r"a%3Cb%3E/c",
        r"a$b/c",
        r"a%25b/c",
        r"#1",
        r"%231",
    ],
    "a" * 201,
    "a/" * 100 + "bb",
    "a" * 4000,
]
TAGS = [
    *["..", ".", "../x", "%2e%2e", "%2e%2e%2fx", ".a", "-a", "a%2fb", "a%00", "a%0a", "a%20", "%C3%A4", "a;b"],
    "a" * 129,
]
PATHS = [
    "/v1/../etc/passwd",
    "/api/../../x",
    "/_layers/sha256/",
    "/_whole/sha256/",
    "/.htpasswd",
    "/users.htpasswd",
    "/V1/_ping",
    "/v1/./_ping",
    "//v1/_ping",
    "/v1/..;/api/usage",
    "/v1/images/../../users.htpasswd/json",
]


def send(door: Running, method: str, path: str, body: bytes = b"[]") -> Answer:
    """The path goes over the wire as it stands."""
    with Raw(door) as wire:
        wire.say(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n")
        wire.say("Content-Type: application/json\r\nConnection: close\r\n", basic(door), "\r\n", body)
        return wire.answer(method)


def refused(answer: Answer) -> bool:
    """With JSON, and without a redirect."""
    return answer.status in {400, 404, 405} and isinstance(answer.json(), dict) and "location" not in answer.headers


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("name", NAMES, ids=lambda name: name[:30])
def test_a_name_that_is_none_is_refused_on_every_route(door: Running, name: str) -> None:
    assert refused(send(door, "PUT", f"/v1/repositories/{name}/"))
    assert refused(send(door, "PUT", f"/v1/repositories/{name}/tags/1", b'"x"'))
    assert refused(send(door, "DELETE", f"/v1/repositories/{name}/tags"))
    assert refused(send(door, "DELETE", f"/api/repositories/{name}"))


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("tag", TAGS, ids=lambda tag: tag[:30])
def test_a_tag_that_is_none_is_refused_on_every_route(door: Running, tag: str) -> None:
    assert refused(send(door, "PUT", f"/v1/repositories/kept/app/tags/{tag}", b'"x"'))
    assert refused(send(door, "DELETE", f"/v1/repositories/kept/app/tags/{tag}"))
    assert refused(send(door, "GET", f"/api/repositories/kept/app/tags/{tag}"))
    assert refused(send(door, "DELETE", f"/api/repositories/kept/app/tags/{tag}"))


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("path", PATHS)
def test_no_path_leads_out(door: Running, path: str) -> None:
    assert refused(send(door, "GET", path, b""))


@pytest.mark.parametrize(
    "digest",
    ["sha256:" + "A" * 64, "sha256:" + "a" * 63, "sha256:" + "a" * 65, "sha1:" + "a" * 40, "md5:" + "a" * 32, "sha256:",
     "sha256", ":", "sha256:../../x", "sha256:%2e%2e%2f", "sha256:" + "a" * 63 + "%00", "sha512:" + "a" * 64,
     "sha256:" + "a" * 64 + "%0a", "SHA256:" + "a" * 64, "sha256:sha256:" + "a" * 64],
    ids=lambda digest: digest[:20],
)  # fmt: skip
def test_a_digest_that_is_none_is_refused(door: Running, digest: str) -> None:
    assert refused(send(door, "GET", f"/api/layers/{digest}", b""))


@pytest.mark.usefixtures("unchanged")
@settings(max_examples=50, deadline=None)
@given(text=st.text(min_size=1, max_size=60))
def test_no_text_as_a_name_breaks_the_registry(admin: httpx.Client, text: str) -> None:
    spelt = quote(text, safe="")
    for path in (
        f"/v1/repositories/{spelt}/tags",
        f"/v1/repositories/kept/app/tags/{spelt}",
        f"/api/repositories/{spelt}",
    ):
        answer = admin.get(path)
        assert answer.status_code in {200, 400, 404, 405}, (path, answer.text)
        assert answer.headers["Content-Type"] == "application/json"


@pytest.mark.usefixtures("unchanged")
@settings(max_examples=50, deadline=None)
@given(raw=st.binary(min_size=1, max_size=40))
def test_no_bytes_as_a_path_break_the_registry(door: Running, raw: bytes) -> None:
    spelt = "".join(f"%{byte:02x}" for byte in raw)
    for path in (f"/v1/images/{spelt}/json", f"/api/layers/{spelt}", f"/v1/{spelt}"):
        assert send(door, "GET", path, b"").status in {400, 404, 405}


@pytest.mark.parametrize("name", ["blobs/x", "manifests/x", "tags/list/x", "v2", "uploads", "api/x", "v1/x", "catalog"])
def test_a_name_like_a_word_of_another_protocol_is_just_a_name(admin: httpx.Client, name: str) -> None:
    top = pushed(admin, name, "1")[0]
    assert admin.get(f"/v1/repositories/{name}/tags").json() == {"1": top.id}
    assert admin.get(f"/api/repositories/{name}").json()["tags"] == 1
    assert admin.delete(f"/v1/repositories/{name}/tags/1").status_code == 200
    assert error(put_tag(admin, name, "1", top.id))[0] == 404
