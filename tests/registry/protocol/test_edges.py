"""The corners of the protocol that every v1 registry had to decide, and how this one did."""

from __future__ import annotations

import json

import httpx
import pytest

from tests.clients.v1 import ClientError, DockerV1, Image
from tests.clients.v1_model import Layer
from tests.parts.registry import Running
from tests.registry.protocol.doors import Raw, basic
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


def docker(door: Running, version: str = "1.6.2", *, asks_v2: bool = True) -> DockerV1:
    return DockerV1(
        door.host,
        ca=door.ca,
        user="admin",
        password=door.password,
        version=version,
        wait=lambda _seconds: None,
        asks_v2=asks_v2,
    )


def tar_image(depth: int = 1) -> Image:
    """A chain whose layers are real tars, as docker sends them."""
    layers: list[Layer] = []
    for _ in range(depth):
        own = fresh_id()
        parent = layers[-1].id if layers else None
        told = {"id": own} | ({"parent": parent} if parent else {})
        layers.append(Layer(own, json.dumps(told).encode(), parent, bytes(1024)))
    return Image(tuple(layers))


def test_pushing_a_complete_image_again_uploads_nothing_but_the_tag(door: Running, name: str) -> None:
    pushed_image = tar_image(2)
    engine = docker(door)
    assert len(engine.push(name, {"1": pushed_image}).uploaded) == 2
    again = engine.push(name, {"2": pushed_image})
    assert (again.uploaded, len(again.skipped)) == ((), 2)
    assert engine.tags(name) == {"1": pushed_image.top.id, "2": pushed_image.top.id}


def test_a_push_cut_in_a_layer_can_be_repeated_without_cleaning_up(door: Running, name: str) -> None:
    cut = tar_image(2)
    engine = docker(door)
    engine.fail_after(10)
    with pytest.raises(ClientError):
        engine.push(name, {"1": cut})
    engine.push(name, {"1": cut})
    assert [layer.id for layer in engine.pull(name, "1")["1"].layers] == [layer.id for layer in cut.layers]


def test_a_lost_answer_to_the_checksum_is_found_out_by_the_next_push(admin: httpx.Client, name: str) -> None:
    layer = image()
    put_image(admin, layer)
    admin.put(f"/v1/repositories/{name}/", json=[{"id": layer.id, "Tag": "1"}])
    assert admin.get(f"/v1/images/{layer.id}/json").status_code == 200
    assert put_tag(admin, name, "1", layer.id).status_code == 200


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_layer_cut_short_leaves_the_image_pending_and_pushable(
    door: Running, admin: httpx.Client, name: str, framing: str
) -> None:
    layer = image(size=50_000)
    put_json(admin, layer)
    with Raw(door) as wire:
        wire.say(f"PUT /v1/images/{layer.id}/layer HTTP/1.1\r\nHost: localhost\r\n", basic(door))
        if framing == "length":
            wire.say(f"Content-Length: {len(blob(layer))}\r\n\r\n", blob(layer)[:20_000])
        else:
            wire.say("Transfer-Encoding: chunked\r\n\r\n", f"{20_000:x}\r\n", blob(layer)[:20_000], "\r\n")
    assert error(put_checksum(admin, layer))[0] == 400
    assert error(admin.get(f"/v1/images/{layer.id}/json"))[0] == 400
    push(admin, name, "1", layer)
    assert admin.get(f"/v1/images/{layer.id}/layer").content == blob(layer)


def test_a_tag_needs_every_ancestor_complete(admin: httpx.Client, name: str) -> None:
    parent = image()
    put_json(admin, parent)
    child = image(parent)
    put_json(admin, child)
    put_layer(admin, child)
    assert error(put_checksum(admin, child))[0] == 400
    assert error(put_tag(admin, name, "1", child.id)) == (404, "Image not found")
    push(admin, name, "1", parent, child)
    assert admin.get(f"/v1/images/{child.id}/ancestry").json() == [child.id, parent.id]


def test_a_parent_deleted_in_the_middle_is_told_at_the_childs_json(admin: httpx.Client, name: str) -> None:
    parent = pushed(admin, name, "1")[0]
    admin.delete(f"/v1/repositories/{name}/tags/1")
    assert error(put_json(admin, image(parent))) == (400, "Image depends on a non existing parent")


def test_a_parent_deleted_between_json_and_checksum_is_told_at_the_checksum(admin: httpx.Client, name: str) -> None:
    parent = pushed(admin, name, "1")[0]
    child = image(parent)
    put_json(admin, child)
    put_layer(admin, child)
    admin.delete(f"/v1/repositories/{name}/tags/1")
    assert error(put_checksum(admin, child)) == (400, "Image depends on a non existing parent")
    assert admin.get(f"/v1/images/{child.id}/json").status_code == 400


def test_a_tag_is_pointed_elsewhere_without_a_word(admin: httpx.Client, name: str) -> None:
    pushed(admin, name, "1")
    new = pushed(admin, name, "1")[0]
    assert admin.get(f"/v1/repositories/{name}/tags").json() == {"1": new.id}


def test_an_image_list_and_a_repository_called_images_are_told_apart(admin: httpx.Client) -> None:
    assert admin.put("/v1/repositories/plain/images", json=[]).status_code == 204
    assert error(admin.put("/v1/repositories/plain/images/", json=[]))[0] == 400


def test_a_double_slash_is_no_redirect(door: Running, admin: httpx.Client) -> None:
    with Raw(door) as wire:
        wire.say(
            "PUT /v1/repositories//app/ HTTP/1.1\r\nHost: localhost\r\n", basic(door), "Content-Length: 2\r\n\r\n[]"
        )
        answer = wire.answer("PUT")
    assert answer.status in {400, 404}
    assert "location" not in answer.headers


def test_the_ancestry_follows_the_parent_pointers_of_a_retried_parent(admin: httpx.Client, name: str) -> None:
    """A stored ancestry would have kept the parent's first parent."""
    first, second = image(), image()
    put_image(admin, first)
    put_image(admin, second)
    middle = image(first)
    put_json(admin, middle)
    top = image(middle)
    put_json(admin, top)
    changed = image(second, image_id=middle.id)
    put_image(admin, changed)
    put_image(admin, top)
    put_tag(admin, name, "1", top.id)
    assert admin.get(f"/v1/images/{top.id}/ancestry").json() == [top.id, middle.id, second.id]


def test_a_child_uploaded_before_its_parent_completes_after_it(admin: httpx.Client, name: str) -> None:
    parent = image()
    child = image(parent)
    put_json(admin, parent)
    put_json(admin, child)
    put_layer(admin, child)
    put_layer(admin, parent)
    assert put_checksum(admin, parent).status_code == 200
    assert put_checksum(admin, child).status_code == 200
    assert put_tag(admin, name, "1", child.id).status_code == 200


def test_a_layer_of_many_megabytes_passes_unchanged(admin: httpx.Client, name: str) -> None:
    layer = pushed(admin, name, "1", size=24 << 20)[0]
    answer = admin.get(f"/v1/images/{layer.id}/layer")
    assert answer.content == blob(layer)
    assert admin.get(f"/v1/images/{layer.id}/json").headers["X-Docker-Checksum-Payload"] == payload(layer)


def test_a_client_that_waits_for_100_continue_is_told_to_go_on(door: Running, admin: httpx.Client, name: str) -> None:
    layer = image()
    put_json(admin, layer)
    with Raw(door) as wire:
        wire.say(f"PUT /v1/images/{layer.id}/layer HTTP/1.1\r\nHost: localhost\r\n", basic(door))
        wire.say(f"Content-Length: {len(blob(layer))}\r\nExpect: 100-continue\r\n\r\n")
        wire.socket.settimeout(20)
        assert b"100" in wire.socket.recv(100)
        wire.say(blob(layer))
        assert wire.answer("PUT").body == b"true"
    assert put_checksum(admin, layer).status_code == 200


def test_a_docker_that_knows_v2_well_chooses_it(door: Running) -> None:
    with pytest.raises(ClientError, match="speaks v2"):
        docker(door, "1.13.1").push("team/modern", {"1": tar_image()})


@pytest.mark.parametrize("version", ["1.6.2", "1.13.1"])
def test_dockers_of_every_age_push_and_pull(door: Running, name: str, version: str) -> None:
    engine = docker(door, version, asks_v2=False)
    sent = tar_image(3)
    engine.login()
    engine.push(name, {"1": sent, "2": sent})
    assert [layer.json for layer in engine.pull(name, "2")["2"].layers] == [layer.json for layer in sent.layers]
