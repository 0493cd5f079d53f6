"""A push announces its images to the index, and confirms them at its end."""

from __future__ import annotations

import re

import httpx
import pytest

from tests.parts.registry import Running
from tests.registry.protocol.doors import Raw, basic
from tests.registry.protocol.pushing import error, fresh_id, image, push, pushed, put_tag

TOKEN = re.compile(r'Token signature=[A-Z0-9]{16},repository="([^"]+)",access=(\w+)')


def announce(client: httpx.Client, name: str, *ids: str, slash: str = "/") -> httpx.Response:
    return client.put(f"/v1/repositories/{name}{slash}", json=[{"id": each} for each in ids])


def token(answer: httpx.Response) -> tuple[str, str]:
    """Repository and access of the token, which stands in two headers."""
    assert answer.headers["X-Docker-Token"] == answer.headers["WWW-Authenticate"]
    match = TOKEN.fullmatch(answer.headers["X-Docker-Token"])
    assert match
    return match[1], match[2]


@pytest.mark.parametrize("slash", ["/", ""])
def test_announcing_answers_an_empty_string_and_where_to_go(
    door: Running, admin: httpx.Client, name: str, slash: str
) -> None:
    answer = announce(admin, name, fresh_id(), slash=slash)
    assert (answer.status_code, answer.text) == (200, '""')
    assert token(answer) == (name, "write")
    assert answer.headers["X-Docker-Endpoints"] == door.host


@pytest.mark.parametrize("spelling", ["short", "library/short"])
def test_a_token_names_the_full_repository_however_it_was_spelt(admin: httpx.Client, spelling: str) -> None:
    assert token(announce(admin, spelling))[0] == "library/short"


def test_tokens_are_random(admin: httpx.Client, name: str) -> None:
    answers = [announce(admin, name) for _ in range(3)]
    assert len({answer.headers["X-Docker-Token"] for answer in answers}) == 3


def test_the_endpoint_is_the_host_that_the_client_used(door: Running, name: str) -> None:
    with Raw(door) as wire:
        wire.say(f"PUT /v1/repositories/{name}/ HTTP/1.1\r\nHost: registry.example:8443\r\n", basic(door))
        wire.say("Content-Length: 2\r\n\r\n[]")
        answer = wire.answer("PUT")
    assert answer.headers["x-docker-endpoints"] == "registry.example:8443"


@pytest.mark.parametrize("host", ["a,b", "evil.example/x", "a;b", "user@host", '"', "a?b"])
def test_a_host_that_is_none_is_refused(door: Running, name: str, host: str) -> None:
    with Raw(door) as wire:
        wire.say(f"PUT /v1/repositories/{name}/ HTTP/1.1\r\nHost: {host}\r\n", basic(door))
        wire.say("Content-Length: 2\r\nConnection: close\r\n\r\n[]")
        answer = wire.answer("PUT")
    assert answer.status == 400
    assert "x-docker-endpoints" not in answer.headers


def test_forwarding_headers_of_a_client_do_not_move_the_endpoint(door: Running, admin: httpx.Client, name: str) -> None:
    lies = {"X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example", "X-Original-Host": "evil.example"}
    answer = admin.put(f"/v1/repositories/{name}/", json=[], headers=lies)
    assert answer.headers["X-Docker-Endpoints"] == door.host


@pytest.mark.parametrize("path", ["", "images"])
@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "Error Decoding JSON"),
        (b"{", "Error Decoding JSON"),
        (b"\xff\xfe", "Error Decoding JSON"),
        (b"[" * 100_000, "Error Decoding JSON"),
        (b"{}", "Invalid data"),
        (b'"text"', "Invalid data"),
        (b"null", "Invalid data"),
        (b"[1]", "Invalid data"),
        (b"[{}]", "Invalid data"),
        (b'[{"id": 7}]', "Invalid data"),
        (b'[{"id": "../../x"}]', "Invalid data"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_an_announcement_that_is_no_list_of_images_is_refused(
    admin: httpx.Client, name: str, path: str, body: bytes, text: str
) -> None:
    assert error(admin.put(f"/v1/repositories/{name}/{path}", content=body)) == (400, text)


def test_a_form_content_type_does_not_hide_the_body(admin: httpx.Client, name: str) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert admin.put(f"/v1/repositories/{name}/", content=b"[]", headers=headers).status_code == 200


def test_confirming_a_push_is_204_with_the_index_headers(door: Running, admin: httpx.Client, name: str) -> None:
    announce(admin, name)
    answer = admin.put(f"/v1/repositories/{name}/images", json=[])
    assert (answer.status_code, answer.content) == (204, b"")
    assert token(answer) == (name, "write")
    assert answer.headers["X-Docker-Endpoints"] == door.host


def test_images_are_those_that_the_tags_reach_and_no_tags_are_echoed(admin: httpx.Client, name: str) -> None:
    chain = pushed(admin, name, depth=3)
    answer = admin.get(f"/v1/repositories/{name}/images", headers={"X-Docker-Token": "true"})
    assert answer.status_code == 200
    assert sorted(each["id"] for each in answer.json()) == sorted(layer.id for layer in chain)
    assert all(set(each) == {"id"} for each in answer.json())
    assert token(answer) == (name, "read")


def test_the_images_of_an_unknown_repository_are_not_found(admin: httpx.Client, name: str) -> None:
    assert error(admin.get(f"/v1/repositories/{name}/images")) == (404, "images not found")


def test_deleting_images_is_answered_and_does_nothing(admin: httpx.Client, name: str) -> None:
    pushed(admin, name)
    answer = admin.delete(f"/v1/repositories/{name}/images")
    assert (answer.status_code, answer.content) == (204, b"")
    assert token(answer) == (name, "delete")
    assert admin.get(f"/v1/repositories/{name}/tags/latest").status_code == 200


def test_asking_for_push_rights_is_ok(admin: httpx.Client, name: str) -> None:
    answer = admin.put(f"/v1/repositories/{name}/auth")
    assert (answer.status_code, answer.text) == (200, '"OK"')


def test_one_component_and_library_are_one_repository_on_every_request(admin: httpx.Client) -> None:
    top = pushed(admin, "onename", "1")[-1]
    for spelling in ("onename", "library/onename"):
        base = f"/v1/repositories/{spelling}"
        assert admin.get(f"{base}/images").json() == [{"id": top.id}]
        assert admin.get(f"{base}/tags").json() == {"1": top.id}
        assert admin.get(f"{base}/tags/1").json() == top.id
        assert admin.get(f"{base}/tags/1/json").json()["os"] == "linux"
        assert admin.get(f"{base}/properties").status_code == 200
        assert put_tag(admin, spelling, "1", top.id).status_code == 200


def test_a_push_that_mixes_both_spellings_is_one_push(admin: httpx.Client) -> None:
    """docker puts the repository as `mixed/` and everything else below `library/mixed`."""
    layer = image()
    assert announce(admin, "mixed", layer.id).status_code == 200
    push(admin, "library/mixed", "1", layer)
    assert admin.put("/v1/repositories/mixed/images", json=[]).status_code == 204
    assert admin.get("/v1/repositories/mixed/tags/1").json() == layer.id
    assert admin.delete("/v1/repositories/library/mixed/tags/1").status_code == 200
    assert admin.delete("/v1/repositories/mixed/tags/1").status_code == 404


@pytest.mark.parametrize("deep", ["a/b/c", "a/b/c/d/e"])
def test_deep_names_are_names(admin: httpx.Client, deep: str) -> None:
    top = pushed(admin, deep, "1")[-1]
    assert admin.get(f"/v1/repositories/{deep}/tags").json() == {"1": top.id}


def test_an_encoded_slash_is_a_slash(admin: httpx.Client) -> None:
    top = pushed(admin, "enc/oded", "1")[-1]
    assert admin.get("/v1/repositories/enc%2Foded/tags/1").json() == top.id


@pytest.mark.parametrize("word", ["images", "tags", "json", "auth", "properties"])
def test_a_name_that_ends_in_a_word_of_the_routes_is_refused(admin: httpx.Client, word: str) -> None:
    before = admin.get("/api/usage").json()
    assert error(admin.put(f"/v1/repositories/some/{word}/", json=[]))[0] in {400, 405}
    assert error(admin.put(f"/v1/repositories/{word}/tags/x", json=fresh_id()))[0] in {400, 405}
    assert admin.get("/api/usage").json() == before
