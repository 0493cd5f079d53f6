"""Tags: pointing, listing, and what a pusher's agent told about itself."""

from __future__ import annotations

import time

import httpx
import pytest

from tests.parts.registry import Running
from tests.registry.protocol.doors import user
from tests.registry.protocol.pushing import (
    AGENT,
    blob,
    config_size,
    error,
    image,
    push,
    pushed,
    put_image,
    put_json,
    put_layer,
    put_tag,
)

DEFAULTS = {
    "last_update": None,
    "docker_version": None,
    "docker_go_version": None,
    "kernel": None,
    "arch": "amd64",
    "os": "linux",
}


def test_a_tag_put_answers_true_and_tells_what_it_freed(admin: httpx.Client, name: str) -> None:
    layer = image()
    put_image(admin, layer)
    answer = put_tag(admin, name, "1.0", layer.id)
    assert (answer.status_code, answer.text) == (200, "true")
    assert (answer.headers["Pier-Freed-Bytes"], answer.headers["Pier-Pending-Bytes"]) == ("0", "0")


def test_tags_are_listed_with_their_images(admin: httpx.Client, name: str) -> None:
    one, two = pushed(admin, name, "1")[0], pushed(admin, name, "2")[0]
    assert admin.get(f"/v1/repositories/{name}/tags").json() == {"1": one.id, "2": two.id}
    assert admin.get(f"/v1/repositories/{name}/tags/2").json() == two.id


def test_several_tags_may_name_one_image(admin: httpx.Client, name: str) -> None:
    top = pushed(admin, name, "1")[0]
    assert put_tag(admin, name, "2", top.id).status_code == 200
    assert admin.get(f"/v1/repositories/{name}/tags").json() == {"1": top.id, "2": top.id}


@pytest.mark.parametrize("tag", ["a", "_a", "A.b-c_d", "1", "latest", "LATEST", "x" * 128])
def test_a_well_formed_tag_is_taken_and_none_is_special(admin: httpx.Client, name: str, tag: str) -> None:
    top = pushed(admin, name, tag)[0]
    assert admin.get(f"/v1/repositories/{name}/tags").json() == {tag: top.id}
    assert admin.delete(f"/v1/repositories/{name}/tags/{tag}").status_code == 200


def test_tags_that_differ_in_case_are_different(admin: httpx.Client, name: str) -> None:
    lower, upper = pushed(admin, name, "latest")[0], pushed(admin, name, "LATEST")[0]
    assert admin.get(f"/v1/repositories/{name}/tags").json() == {"latest": lower.id, "LATEST": upper.id}


@pytest.mark.parametrize(
    "tag", [".a", "-a", "x" * 129, "a%20b", "a%00", "a%0A", "%C3%A4", "a:b", "a@b", "a+b", "%E2%98%83"]
)
def test_a_malformed_tag_is_refused(admin: httpx.Client, name: str, tag: str) -> None:
    top = pushed(admin, name, "1")[0]
    for method in ("PUT", "GET", "DELETE"):
        status, text = error(admin.request(method, f"/v1/repositories/{name}/tags/{tag}", json=top.id))
        assert status == 400
        assert text.startswith("Invalid tag name (must match ") or tag == "a%00"
    assert admin.get(f"/v1/repositories/{name}/tags").json() == {"1": top.id}


@pytest.mark.parametrize("body", [b"", b'""', b"null", b"{}", b"[]", b"7", b"abc", b"\xff"])
def test_a_tag_body_that_is_no_image_id_string_is_refused(admin: httpx.Client, name: str, body: bytes) -> None:
    assert error(admin.put(f"/v1/repositories/{name}/tags/1", content=body)) == (400, "Invalid data")


@pytest.mark.parametrize("unknown", ["5" * 64, "short", "A" * 64, "../../x"])
def test_a_tag_for_an_unknown_image_is_not_found_and_makes_no_repository(
    admin: httpx.Client, name: str, unknown: str
) -> None:
    assert error(put_tag(admin, name, "1", unknown)) == (404, "Image not found")
    assert admin.get(f"/v1/repositories/{name}/tags").status_code == 404


def test_a_tag_for_a_pending_image_is_not_found(admin: httpx.Client, name: str) -> None:
    layer = image()
    put_json(admin, layer)
    put_layer(admin, layer)
    assert error(put_tag(admin, name, "1", layer.id)) == (404, "Image not found")


def test_a_tag_needs_push_right(door: Running, admin: httpx.Client, name: str) -> None:
    top = pushed(admin, name)[0]
    reader = user(door, "tagreader", "pull", "*")
    assert error(put_tag(reader, name, "2", top.id))[0] == 403
    assert error(reader.delete(f"/v1/repositories/{name}/tags/latest"))[0] == 403
    assert reader.get(f"/v1/repositories/{name}/tags").json() == {"latest": top.id}


def test_a_tag_of_an_image_that_the_caller_cannot_push_is_not_found(
    door: Running, admin: httpx.Client, name: str
) -> None:
    top = pushed(admin, name)[0]
    writer = user(door, "tagwriter", "push", "tagwriter/*")
    assert error(put_tag(writer, "tagwriter/app", "1", top.id)) == (404, "Image not found")


def test_unknown_tags_and_repositories_are_told_apart_in_words_only(admin: httpx.Client, name: str) -> None:
    assert error(admin.get(f"/v1/repositories/{name}/tags")) == (404, "Repository not found")
    assert error(admin.get(f"/v1/repositories/{name}/tags/1")) == (404, "Tag not found")
    pushed(admin, name, "1")
    assert error(admin.get(f"/v1/repositories/{name}/tags/2")) == (404, "Tag not found")
    assert error(admin.delete(f"/v1/repositories/{name}/tags/2")) == (404, "Tag not found: 2")


def test_a_tag_remembers_what_its_pushers_agent_told(admin: httpx.Client, name: str) -> None:
    before = int(time.time())
    pushed(admin, name, "1")
    told = admin.get(f"/v1/repositories/{name}/tags/1/json").json()
    assert before - 1 <= told.pop("last_update") <= time.time() + 1
    assert told == {
        "docker_version": "1.6.2",
        "docker_go_version": "go1.4.2",
        "kernel": "4.0.5-boot2docker",
        "os": "linux",
        "arch": "amd64",
    }


def test_what_an_agent_does_not_tell_is_not_made_up(admin: httpx.Client, name: str) -> None:
    top = pushed(admin, name, "1")[0]
    put_tag(admin, name, "1", top.id, agent="curl/8.0")
    assert list(admin.get(f"/v1/repositories/{name}/tags/1/json").json()) == ["last_update"]


@pytest.mark.parametrize("agent", ["docker/" + "x" * 3000, "/" * 2000, "docker/(os/linux", "a" * 5000])
def test_an_odd_agent_is_no_obstacle(admin: httpx.Client, name: str, agent: str) -> None:
    top = pushed(admin, name, "1")[0]
    assert put_tag(admin, name, "2", top.id, agent=agent).status_code == 200
    assert admin.get(f"/v1/repositories/{name}/tags/2/json").status_code == 200


def test_the_json_of_a_repository_is_that_of_latest(admin: httpx.Client, name: str) -> None:
    top = pushed(admin, name, "other")[0]
    assert admin.get(f"/v1/repositories/{name}/json").json() == DEFAULTS
    put_tag(admin, name, "latest", top.id, agent=AGENT.replace("1.6.2", "1.9.1"))
    assert admin.get(f"/v1/repositories/{name}/json").json()["docker_version"] == "1.9.1"


def test_json_of_what_is_not_there_is_defaults_and_never_404(admin: httpx.Client, name: str) -> None:
    assert admin.get(f"/v1/repositories/{name}/json").json() == DEFAULTS
    assert admin.get(f"/v1/repositories/{name}/tags/1/json").json() == DEFAULTS


def test_a_repository_is_private_until_told_otherwise(admin: httpx.Client, name: str) -> None:
    pushed(admin, name)
    base = f"/v1/repositories/{name}/properties"
    assert admin.get(base).json() == {"access": "private"}
    answer = admin.put(base, json={"access": "public"})
    assert (answer.status_code, answer.text) == (200, "true")
    assert admin.get(base).json() == {"access": "public"}


@pytest.mark.parametrize(
    "body", ["{}", "[]", "null", '{"access": "other"}', '{"access": []}', '{"access": {}}', '{"access": 1}', '"public"']
)
def test_properties_that_are_none_are_refused(admin: httpx.Client, name: str, body: str) -> None:
    pushed(admin, name)
    assert error(admin.put(f"/v1/repositories/{name}/properties", content=body)) == (400, "Invalid data")


def test_properties_of_an_unknown_repository_are_not_found(admin: httpx.Client, name: str) -> None:
    base = f"/v1/repositories/{name}/properties"
    assert error(admin.get(base)) == (404, "Repository not found")
    assert error(admin.put(base, json={"access": "public"})) == (404, "Repository not found")


def test_public_is_a_word_and_opens_nothing(door: Running, admin: httpx.Client, name: str) -> None:
    pushed(admin, name)
    admin.put(f"/v1/repositories/{name}/properties", json={"access": "public"})
    assert door.anonymous().get(f"/v1/repositories/{name}/tags").status_code == 401


def test_moving_a_tag_tells_what_it_freed(admin: httpx.Client, name: str) -> None:
    old, new = pushed(admin, name, "1")[0], image()
    put_image(admin, new)
    stored = len(blob(old)) + config_size(admin, name, "1")
    answer = put_tag(admin, name, "1", new.id)
    assert answer.headers["Pier-Freed-Bytes"] == str(stored)
    assert error(admin.get(f"/v1/images/{old.id}/json")) == (404, "Image not found")


def test_putting_a_tag_where_it_is_changes_nothing(admin: httpx.Client, name: str) -> None:
    top = pushed(admin, name, "1")[0]
    before = admin.get("/api/usage").json()
    for _ in range(3):
        assert put_tag(admin, name, "1", top.id).status_code == 200
    assert admin.get("/api/usage").json() == before
    push(admin, name, "2", image())
    assert admin.get(f"/v1/repositories/{name}/tags/1").json() == top.id
