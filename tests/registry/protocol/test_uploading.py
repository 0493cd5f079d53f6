"""An image goes up in three steps; until the last it can be tried again, and after it nothing changes."""

from __future__ import annotations

import json

import httpx
import pytest

from tests.clients.v1_model import Layer
from tests.parts.registry import Running
from tests.registry.protocol.doors import user
from tests.registry.protocol.pushing import (
    blob,
    error,
    fresh_id,
    image,
    payload,
    push,
    pushed,
    put_checksum,
    put_image,
    put_json,
    put_layer,
    put_tag,
)


def json_of(client: httpx.Client, image_id: str, body: bytes) -> httpx.Response:
    return client.put(f"/v1/images/{image_id}/json", content=body)


def test_the_three_steps_answer_true(admin: httpx.Client) -> None:
    layer = image()
    for step in (put_json, put_layer, put_checksum):
        answer = step(admin, layer)
        assert (answer.status_code, answer.text) == (200, "true")


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b"null", b'"x"', b"{", b"\xff", b"[" * 100_000], ids=lambda body: repr(body[:10])
)
def test_a_json_that_is_no_object_with_members_is_refused(admin: httpx.Client, body: bytes) -> None:
    assert error(json_of(admin, fresh_id(), body)) == (400, "Invalid JSON")


def test_a_json_without_id_is_refused(admin: httpx.Client) -> None:
    assert error(json_of(admin, fresh_id(), b'{"a": 1}')) == (400, "Missing key `id' in JSON")


@pytest.mark.parametrize("told", ["5" * 64, "", None, 7, ["x"]])
def test_a_json_with_another_id_is_refused(admin: httpx.Client, told: object) -> None:
    assert error(json_of(admin, fresh_id(), json.dumps({"id": told}).encode())) == (
        400,
        "JSON data contains invalid id",
    )


@pytest.mark.parametrize("parent", ["5" * 64, "short", 7, ["x"], {"x": 1}])
def test_a_parent_that_is_not_there_is_refused(admin: httpx.Client, parent: object) -> None:
    own = fresh_id()
    body = json.dumps({"id": own, "parent": parent}).encode()
    assert error(json_of(admin, own, body)) == (400, "Image depends on a non existing parent")


@pytest.mark.parametrize("parent", [None, ""])
def test_an_empty_parent_is_none(admin: httpx.Client, parent: object) -> None:
    own = fresh_id()
    assert json_of(admin, own, json.dumps({"id": own, "parent": parent}).encode()).status_code == 200


def test_a_parent_that_is_still_uploading_is_accepted(admin: httpx.Client) -> None:
    parent = image()
    put_json(admin, parent)
    assert put_json(admin, image(parent)).status_code == 200


def test_an_image_cannot_be_its_own_parent_even_on_a_retry(admin: httpx.Client) -> None:
    own = fresh_id()
    itself = json.dumps({"id": own, "parent": own}).encode()
    assert error(json_of(admin, own, itself)) == (400, "Image depends on a non existing parent")
    assert json_of(admin, own, json.dumps({"id": own}).encode()).status_code == 200
    assert error(json_of(admin, own, itself)) == (400, "Image depends on a non existing parent")


def test_two_pending_images_cannot_become_each_others_parent(admin: httpx.Client, name: str) -> None:
    one, other = image(), fresh_id()
    put_json(admin, one)
    put_json(admin, image(one, image_id=other))
    answer = json_of(admin, one.id, json.dumps({"id": one.id, "parent": other}).encode())
    assert error(answer) == (400, "Image depends on a non existing parent")


def test_a_retry_may_name_another_parent_and_its_ancestry_follows(admin: httpx.Client, name: str) -> None:
    first, second = image(), image()
    put_image(admin, first)
    put_image(admin, second)
    child = image(first)
    put_json(admin, child)
    again = image(second, image_id=child.id)
    put_image(admin, again)
    put_tag(admin, name, "1", child.id)
    assert admin.get(f"/v1/images/{child.id}/ancestry").json() == [child.id, second.id]


def test_a_pending_image_is_pending_for_every_read(admin: httpx.Client) -> None:
    layer = image()
    put_json(admin, layer)
    for _ in range(2):
        for part in ("json", "layer", "ancestry"):
            answer = admin.get(f"/v1/images/{layer.id}/{part}")
            assert error(answer) == (400, "Image is being uploaded, retry later")
        put_layer(admin, layer)


def test_a_pending_image_is_unknown_to_others(door: Running, admin: httpx.Client) -> None:
    other = user(door, "other")
    layer = image()
    put_json(admin, layer)
    assert error(other.get(f"/v1/images/{layer.id}/json")) == (404, "Image not found")


def test_a_layer_before_its_json_is_not_found(admin: httpx.Client) -> None:
    assert error(put_layer(admin, image())) == (404, "Image not found")


def test_a_checksum_before_the_json_is_not_found(admin: httpx.Client) -> None:
    assert error(put_checksum(admin, image())) == (404, "Image not found")


def test_a_checksum_before_the_layer_is_refused_and_the_image_stays_pending(admin: httpx.Client) -> None:
    layer = image()
    put_json(admin, layer)
    assert error(put_checksum(admin, layer))[0] == 400
    assert admin.get(f"/v1/images/{layer.id}/json").status_code == 400
    assert put_layer(admin, layer).status_code == 200
    assert put_checksum(admin, layer).status_code == 200


def test_a_checksum_without_its_header_is_412(admin: httpx.Client) -> None:
    layer = image()
    put_json(admin, layer)
    put_layer(admin, layer)
    tarsum = {"X-Docker-Checksum": "tarsum+sha256:" + "0" * 64}
    answer = admin.put(f"/v1/images/{layer.id}/checksum", headers=tarsum)
    assert error(answer)[0] == 412


def test_an_empty_checksum_is_missing(admin: httpx.Client) -> None:
    layer = image()
    put_json(admin, layer)
    put_layer(admin, layer)
    assert error(put_checksum(admin, layer, "")) == (400, "Missing Image's checksum")


@pytest.mark.parametrize(
    "claimed", ["sha256:" + "0" * 64, "sha256:", "x", "tarsum+sha256:" + "0" * 64, "md5:" + "0" * 32]
)
def test_a_wrong_checksum_leaves_the_image_pending_and_repeatable(admin: httpx.Client, claimed: str) -> None:
    layer = image()
    put_json(admin, layer)
    put_layer(admin, layer)
    assert error(put_checksum(admin, layer, claimed)) == (400, "Checksum mismatch")
    assert error(admin.get(f"/v1/images/{layer.id}/json"))[0] == 400
    put_image(admin, layer)


def test_a_complete_image_takes_nothing_more(admin: httpx.Client, name: str) -> None:
    layer = pushed(admin, name)[0]
    other = json.dumps({"id": layer.id, "changed": True}).encode()
    assert error(put_json(admin, layer)) == (409, "Image already exists")
    assert error(json_of(admin, layer.id, other)) == (409, "Image already exists")
    assert error(put_layer(admin, layer)) == (409, "Image already exists")
    assert error(put_checksum(admin, layer)) == (409, "Cannot set this image checksum")
    assert admin.get(f"/v1/images/{layer.id}/json").content == layer.json
    assert admin.get(f"/v1/images/{layer.id}/layer").content == blob(layer)


def test_a_complete_image_that_no_tag_holds_yet_takes_nothing_more_either(admin: httpx.Client) -> None:
    layer = image()
    put_image(admin, layer)
    assert error(put_json(admin, layer)) == (409, "Image already exists")
    assert error(put_checksum(admin, layer)) == (409, "Cannot set this image checksum")


def test_an_interrupted_upload_can_be_started_over(admin: httpx.Client, name: str) -> None:
    layer = image()
    put_json(admin, layer)
    put_layer(admin, layer)
    push(admin, name, "1", layer)
    assert admin.get(f"/v1/images/{layer.id}/layer").content == blob(layer)


def test_a_layer_may_be_sent_again_and_the_confirmed_one_counts(admin: httpx.Client, name: str) -> None:
    layer = image()
    other = Layer(layer.id, layer.json, None, blob(image()))
    put_json(admin, layer)
    put_layer(admin, other)
    put_layer(admin, layer)
    assert put_checksum(admin, layer, payload(other)).status_code == 200
    put_tag(admin, name, "1", layer.id)
    assert admin.get(f"/v1/images/{layer.id}/layer").content == blob(other)


def test_another_json_makes_the_layer_sent_before_it_worthless(admin: httpx.Client) -> None:
    layer = image()
    put_json(admin, layer)
    put_layer(admin, layer)
    put_json(admin, image(image_id=layer.id, changed=True))
    assert error(put_checksum(admin, layer))[0] == 400


def test_two_clients_that_push_one_image_both_succeed(door: Running, admin: httpx.Client, name: str) -> None:
    second = user(door, "second")
    layer = image()
    for client in (admin, second):
        assert put_json(client, layer).status_code == 200
        assert put_layer(client, layer).status_code == 200
    for client in (admin, second):
        assert put_checksum(client, layer).status_code == 200
    assert put_tag(admin, name, "1", layer.id).status_code == 200
    assert admin.get(f"/v1/images/{layer.id}/layer").content == blob(layer)


def test_an_id_taken_elsewhere_with_other_content_is_never_called_existing(
    door: Running, admin: httpx.Client, name: str
) -> None:
    """`Image already exists` would make the second client tag somebody else's bytes."""
    mine = user(door, "narrow", "push", "narrow/*")
    taken = pushed(admin, name)[0]
    own = image(image_id=taken.id)
    assert put_json(mine, own).status_code == 200
    assert put_layer(mine, own).status_code == 200
    status, text = error(put_checksum(mine, own))
    assert status == 409
    assert text != "Image already exists"
    assert admin.get(f"/v1/images/{taken.id}/layer").content == blob(taken)


def test_the_same_image_pushed_where_the_first_cannot_be_seen_joins_it(
    door: Running, admin: httpx.Client, name: str
) -> None:
    mine = user(door, "joiner", "push", "joiner/*")
    layer = pushed(admin, name)[0]
    before = admin.get("/api/usage").json()
    assert error(mine.get(f"/v1/images/{layer.id}/json"))[0] == 404
    push(mine, "joiner/app", "1", layer)
    after = admin.get("/api/usage").json()
    assert (after["images"], after["bytes"]) == (before["images"], before["bytes"])
    assert mine.get(f"/v1/images/{layer.id}/layer").content == blob(layer)


def test_an_id_of_16_digits_is_an_id(admin: httpx.Client, name: str) -> None:
    base = image(image_id=fresh_id()[:16])
    top = image(base, image_id=fresh_id()[:16])
    push(admin, name, "1", base, top)
    assert admin.get(f"/v1/images/{top.id}/ancestry").json() == [top.id, base.id]


@pytest.mark.parametrize("bad", ["x", "A" * 64, "0" * 63, "0" * 65, "0" * 15, "g" * 64, "0" * 64 + "%0A", "0" * 32])
@pytest.mark.parametrize(
    ("method", "part"),
    [("GET", "json"), ("GET", "layer"), ("GET", "ancestry"), ("PUT", "json"), ("PUT", "layer"), ("PUT", "checksum")],
)
def test_a_malformed_id_is_404_everywhere(admin: httpx.Client, bad: str, method: str, part: str) -> None:
    assert error(admin.request(method, f"/v1/images/{bad}/{part}")) == (404, "Invalid image ID")


def test_json_bytes_survive_unchanged(admin: httpx.Client, name: str) -> None:
    own = fresh_id()
    odd = b'  {"id" :\t"%s",\n "created":"2015-01-01T00:00:00Z", "x":"\xc3\xa4\\u00e4", "x":1.0}\n\n' % own.encode()
    push(admin, name, "1", Layer(own, odd, None, blob(image())))
    assert admin.get(f"/v1/images/{own}/json").content == odd


def test_chunked_and_plain_bodies_are_the_same(admin: httpx.Client, name: str) -> None:
    layer = image(size=300_000)
    pieces = [blob(layer)[at : at + 7000] for at in range(0, len(blob(layer)), 7000)]
    put_json(admin, layer)
    assert admin.put(f"/v1/images/{layer.id}/layer", content=iter(pieces)).status_code == 200
    assert put_checksum(admin, layer).status_code == 200
    put_tag(admin, name, "1", layer.id)
    assert admin.get(f"/v1/images/{layer.id}/layer").content == blob(layer)


@pytest.mark.parametrize(
    "content", [b"", b"no archive at all", b"\x1f\x8b broken gzip"], ids=["empty", "text", "broken"]
)
def test_a_layer_may_hold_anything(admin: httpx.Client, name: str, content: bytes) -> None:
    own = fresh_id()
    push(admin, name, "1", Layer(own, json.dumps({"id": own}).encode(), None, content))
    answer = admin.get(f"/v1/images/{own}/layer")
    assert (answer.status_code, answer.content) == (200, content)
    assert answer.headers["Content-Length"] == str(len(content))
