"""Queries, hosts and headers that try to be something else: taken literally, or refused."""

from __future__ import annotations

import base64
import json
import time

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.clients.v1_model import Layer
from tests.parts.registry import Running
from tests.registry.protocol.doors import Raw, basic
from tests.registry.protocol.pushing import blob

pytestmark = pytest.mark.usefixtures("unchanged")

EVIL = [
    "' OR 1=1 --",
    '"; DROP TABLE tag; --',
    "%",
    "_",
    "\\",
    "%25%00",
    "kept/app' UNION SELECT * FROM event --",
    "\0",
    "%" * 3000,
]
LISTS = ["/v1/search?q={}", "/v1/alltags?q={}", "/v1/alltags?q=kept&last={}", "/v1/allnamespaces?last={}",
         "/api/repositories?last={}", "/api/repositories/kept/app/tags?last={}"]  # fmt: skip


@pytest.mark.parametrize("text", EVIL, ids=lambda text: repr(text[:20]))
def test_sql_in_a_question_is_a_question(admin: httpx.Client, text: str) -> None:
    for path in LISTS:
        begun = time.monotonic()
        answer = admin.get(httpx.URL(path.format(""), params=None).copy_merge_params(_last(path, text)))
        assert answer.status_code in {200, 400, 414}, answer.text
        assert time.monotonic() - begun < 2


def _last(path: str, text: str) -> dict[str, str]:
    return {path.rpartition("=")[0].rpartition("?")[2].rpartition("&")[2]: text}


@settings(max_examples=50, deadline=None)
@given(text=st.text(max_size=200))
def test_no_question_breaks_the_registry(admin: httpx.Client, text: str) -> None:
    for path in LISTS:
        answer = admin.get(httpx.URL(path.format("")).copy_merge_params(_last(path, text)))
        assert answer.status_code in {200, 400}, (path, answer.text)
        assert answer.headers["Content-Type"] == "application/json"


@settings(max_examples=50, deadline=None)
@given(raw=st.binary(max_size=80))
def test_no_bytes_as_a_query_break_the_registry(door: Running, raw: bytes) -> None:
    spelt = "".join(f"%{byte:02x}" for byte in raw)
    with Raw(door) as wire:
        for path in ("/v1/search", "/api/repositories"):
            answer = wire.ask(f"GET {path}?q={spelt}&n={spelt}&page={spelt}&{spelt}={spelt}", basic(door))
            assert answer.status in {200, 400}


@pytest.mark.parametrize(
    "number", ["999999999", "-1", "abc", "0", "1.5", "1e9", "0x10", "+1", " 1", "9" * 400, "", "%00", "٣"]
)
def test_a_number_is_clamped_or_refused(admin: httpx.Client, number: str) -> None:
    for path in ("/v1/search", "/v1/allnamespaces", "/api/repositories", "/api/repositories/kept/app/tags"):
        answer = admin.get(path, params={"n": number})
        assert answer.status_code == (200 if number in {"999999999", "0"} else 400), (path, number)


@pytest.mark.parametrize("wild", ["k_pt", "k%t", "%", "_", "k*t", "k?t", "[k]"])
def test_wildcards_find_only_themselves(admin: httpx.Client, wild: str) -> None:
    found = admin.get("/v1/search", params={"q": wild}).json()["results"]
    assert all(wild in each["name"] for each in found)
    assert "kept/app" not in [each["name"] for each in found]


@pytest.mark.parametrize("host", ["evil.example", "localhost:1", "[::1]:5", "a.b.c:65535"])
def test_a_foreign_host_changes_nothing_but_the_endpoint_it_asked_for(door: Running, host: str) -> None:
    with Raw(door) as wire:
        wire.say(
            f"GET /v1/repositories/kept/app/tags HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n", basic(door), "\r\n"
        )
        answer = wire.answer()
    assert answer.status == 200
    assert host.encode() not in answer.body
    assert not any(host in value for value in answer.headers.values())


def test_a_whole_address_in_the_request_line_is_judged_by_its_path(door: Running) -> None:
    with Raw(door) as wire:
        assert wire.ask("GET https://evil.example/v1/_ping").status == 200
    with Raw(door) as wire:
        answer = wire.ask("GET https://evil.example/api/usage", "Connection: close\r\n")
    assert answer.status == 401


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND", "get", "FOO", "PATCH", "OPTIONS"])
def test_a_method_that_nobody_takes_is_refused(door: Running, method: str) -> None:
    with Raw(door) as wire:
        wire.say(f"{method} /v1/repositories/kept/app/tags/1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n")
        wire.say(basic(door), "\r\n")
        status = wire.answer(method).status
    assert status in {200, 400, 405} if method == "OPTIONS" else status in {400, 405}


def test_another_site_may_not_read_answers(door: Running, admin: httpx.Client, kept: Layer) -> None:
    evil = {"Origin": "https://evil.example", "Access-Control-Request-Method": "DELETE"}
    for answer in (admin.get("/api/usage", headers=evil), admin.options("/api/repositories/kept/app", headers=evil)):
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]


def test_a_layer_that_looks_like_a_page_is_a_download(admin: httpx.Client, kept: Layer) -> None:
    answer = admin.get(f"/v1/images/{kept.id}/layer", headers={"Accept": "text/html"})
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Disposition"] == "attachment"
    assert answer.content == blob(kept)


def test_line_ends_and_escapes_do_not_forge_a_line_of_the_log(door: Running) -> None:
    forged = '{"forged": true}'
    user = base64.b64encode(f"x\n{forged}\n\x1b[31m:y".encode()).decode()
    with Raw(door) as wire:
        wire.ask(f"GET /v1/repositories/a%0a{forged.replace(' ', '')}%0d%0a%1b[31m/tags", basic(door))
        wire.ask("GET /v1/users/", f"Authorization: Basic {user}\r\n", f"User-Agent: a\x1b[31m{forged}\r\n")
    time.sleep(0.5)
    lines = door.log.read_text(errors="replace").splitlines()
    assert not any(line.strip() == forged or "\x1b[31m" in line for line in lines)
    for line in lines:
        if line.startswith("{"):
            assert "forged" not in json.loads(line)
