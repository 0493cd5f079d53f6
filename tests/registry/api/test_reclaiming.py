"""What a delete would free, what it freed, and that the two are one."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.clients.v1_model import Layer
from tests.parts.registry import Running
from tests.registry.protocol.doors import user
from tests.registry.protocol.pushing import (
    blob,
    config,
    config_size,
    digest,
    image,
    manifest_digest,
    push,
    pushed,
    put_image,
    put_tag,
)


def lines(*layers: Layer, configs: tuple[dict[str, Any], ...] = ()) -> list[dict[str, Any]]:
    return by_digest([*({"digest": digest(each), "size": len(blob(each))} for each in layers), *configs])


def by_digest(listed: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(listed, key=lambda each: str(each["digest"]))


@pytest.fixture
def shared(admin: httpx.Client, name: str) -> tuple[Layer, Layer, Layer]:
    """A base under two tops, tagged 1 and 2."""
    base = image()
    one, two = image(base), image(base)
    push(admin, name, "1", base, one)
    put_image(admin, two)
    put_tag(admin, name, "2", two.id)
    return base, one, two


def test_a_preview_is_the_delete_byte_for_byte(admin: httpx.Client, name: str, shared: tuple[Layer, ...]) -> None:
    for path in (f"/api/repositories/{name}/tags/1", f"/api/repositories/{name}/tags/2"):
        foreseen = admin.get(f"{path}/reclaim")
        done = admin.delete(path)
        assert foreseen.status_code == done.status_code == 200
        assert foreseen.content == done.content


def test_a_preview_of_a_repository_is_its_delete_byte_for_byte(
    admin: httpx.Client, name: str, shared: tuple[Layer, ...]
) -> None:
    path = f"/api/repositories/{name}"
    foreseen = admin.get(f"{path}/reclaim")
    done = admin.delete(path)
    assert foreseen.status_code == done.status_code == 200
    assert foreseen.content == done.content


def test_a_preview_changes_nothing(admin: httpx.Client, name: str, shared: tuple[Layer, ...]) -> None:
    before = admin.get("/api/usage").json()
    for _ in range(3):
        admin.get(f"/api/repositories/{name}/tags/1/reclaim")
        admin.get(f"/api/repositories/{name}/reclaim")
    assert admin.get("/api/usage").json() == before
    assert admin.get(f"/v1/images/{shared[1].id}/layer").content == blob(shared[1])


def test_a_receipt_tells_what_went_and_what_stayed_and_by_whom(
    admin: httpx.Client, name: str, shared: tuple[Layer, Layer, Layer]
) -> None:
    base, one, _ = shared
    made, for_v2 = manifest_digest(admin, name, "1"), config(admin, name, "1")
    size = len(blob(one)) + for_v2["size"]
    answer = admin.delete(f"/api/repositories/{name}/tags/1")
    assert answer.headers["Pier-Freed-Bytes"] == str(size)
    assert answer.headers["Pier-Pending-Bytes"] == "0"
    told = answer.json()
    assert (told["repository"], told["tags"], told["images"]) == (name, ["1"], [one.id])
    assert (told["freed_bytes"], told["pending_bytes"]) == (size, 0)
    assert by_digest(told["layers"]) == lines(one, configs=(for_v2,))
    assert told["kept"] == [lines(base)[0] | {"cnt": 2, "held_by": [f"{name}:2"], "others": 0}]
    assert (told["manifests"], told["promised"]) == ([made], [])


def test_the_last_tag_takes_everything(admin: httpx.Client, name: str, shared: tuple[Layer, Layer, Layer]) -> None:
    base, _, two = shared
    admin.delete(f"/api/repositories/{name}/tags/1")
    for_v2 = config(admin, name, "2")
    told = admin.delete(f"/api/repositories/{name}/tags/2").json()
    assert by_digest(told["layers"]) == lines(base, two, configs=(for_v2,))
    assert told["kept"] == []
    assert admin.get(f"/api/repositories/{name}").status_code == 404


def test_a_repository_receipt_sums_all_tags(admin: httpx.Client, name: str, shared: tuple[Layer, ...]) -> None:
    size = sum(len(blob(each)) for each in shared) + sum(config_size(admin, name, tag) for tag in ("1", "2"))
    told = admin.delete(f"/api/repositories/{name}").json()
    assert sorted(told["tags"]) == ["1", "2"]
    assert told["freed_bytes"] == size
    assert sorted(told["images"]) == sorted(each.id for each in shared)


def test_keepers_outside_the_callers_rights_are_a_number(door: Running, admin: httpx.Client, name: str) -> None:
    top = pushed(admin, name, "1")[0]
    put_tag(admin, f"secret-{name}", "hidden", top.id)
    who = f"keeper{name.partition('/')[0]}"
    pusher = user(door, who, "push", name)
    for answer in (
        pusher.get(f"/api/repositories/{name}/tags/1/reclaim"),
        pusher.delete(f"/api/repositories/{name}/tags/1"),
    ):
        kept = answer.json()["kept"]  # the layer and the config that its manifests share
        assert [(each["held_by"], each["others"]) for each in kept] == [([], 1), ([], 1)]
        assert "secret" not in answer.text


def test_a_preview_needs_the_right_to_delete(door: Running, admin: httpx.Client, name: str) -> None:
    pushed(admin, name, "1")
    who = f"viewer{name.partition('/')[0]}"
    reader = user(door, who, "pull", "*")
    pusher = user(door, f"{who}2", "push", "*")
    tag, whole = f"/api/repositories/{name}/tags/1/reclaim", f"/api/repositories/{name}/reclaim"
    assert [client.get(tag).status_code for client in (reader, pusher)] == [403, 200]
    assert [client.get(whole).status_code for client in (reader, pusher)] == [403, 403]
    assert pusher.delete(f"/api/repositories/{name}").status_code == 403


def test_what_is_promised_to_a_push_is_told_with_its_end(admin: httpx.Client, name: str) -> None:
    top = pushed(admin, name, "1")[0]
    admin.put(f"/v1/repositories/{name}/", json=[{"id": top.id, "Tag": "2"}])
    assert admin.get(f"/v1/images/{top.id}/json").status_code == 200
    unpromised = config_size(admin, name, "1")
    foreseen = admin.get(f"/api/repositories/{name}/tags/1/reclaim")
    done = admin.delete(f"/api/repositories/{name}/tags/1")
    assert foreseen.content == done.content
    told = done.json()
    (promised,) = told["promised"]
    assert (promised["digest"], promised["size"]) == (digest(top), len(blob(top)))
    assert promised["until"].endswith("+00:00")
    assert (told["freed_bytes"], told["pending_bytes"]) == (unpromised, len(blob(top)))
    admin.put(f"/v1/repositories/{name}/images", json=[])


def test_the_freed_bytes_are_off_the_disk_when_the_answer_comes(door: Running, admin: httpx.Client, name: str) -> None:
    pushed(admin, name, "1", depth=2, size=1 << 20)
    before = {path for path in (door.data / "layers").rglob("*") if path.is_file()}
    admin.delete(f"/api/repositories/{name}/tags/1")
    assert (
        len(before) - len({path for path in (door.data / "layers").rglob("*") if path.is_file()}) == 2 + 1
    )  # and the config
