"""A delete gives the disk back before it answers, and tells how much."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.clients.v1_model import Layer
from tests.parts.registry import Running
from tests.registry.protocol.doors import user
from tests.registry.protocol.pushing import blob, config_size, digest, error, image, push, pushed, put_image, put_tag

MIB = 1 << 20


def used(door: Running) -> tuple[int, int]:
    """Bytes on the disk of all layer files, as `du` counts them, and their number."""
    files = [path for path in (door.data / "layers").rglob("*") if path.is_file()]
    return sum(path.stat().st_blocks * 512 for path in files), len(files)


def held(door: Running, layer: Layer) -> list[Path]:
    return list((door.data / "layers").rglob(f"{digest(layer).removeprefix('sha256:')}.*"))


def test_a_tag_delete_answers_true_with_the_receipts_figures(admin: httpx.Client, name: str) -> None:
    chain = pushed(admin, name, "1", depth=3)
    stored = sum(len(blob(layer)) for layer in chain) + config_size(admin, name, "1")
    answer = admin.delete(f"/v1/repositories/{name}/tags/1")
    assert (answer.status_code, answer.text) == (200, "true")
    assert answer.headers["Pier-Freed-Bytes"] == str(stored)
    assert answer.headers["Pier-Pending-Bytes"] == "0"


def test_the_disk_is_free_when_the_delete_answers(door: Running, admin: httpx.Client, name: str) -> None:
    pushed(admin, name, "1", depth=3, size=3 * MIB)
    (before, files) = used(door)
    answer = admin.delete(f"/v1/repositories/{name}/tags/1")
    (after, left) = used(door)
    assert files - left == 3 + 1  # layers, and the config that the tag's manifest names
    assert abs((before - after) - int(answer.headers["Pier-Freed-Bytes"])) <= 4 * 4096


def test_moving_a_tag_frees_the_disk_too(door: Running, admin: httpx.Client, name: str) -> None:
    pushed(admin, name, "1", size=2 * MIB)
    new = image(size=2000)
    put_image(admin, new)
    (before, _) = used(door)
    answer = put_tag(admin, name, "1", new.id)
    (after, _) = used(door)
    assert abs((before - after) - int(answer.headers["Pier-Freed-Bytes"])) <= 4096


def test_what_another_tag_holds_stays(door: Running, admin: httpx.Client, name: str) -> None:
    base, one, two = (layer := image()), image(layer), image(layer)
    push(admin, name, "1", base, one)
    put_image(admin, two)
    put_tag(admin, name, "2", two.id)
    alone = len(blob(one)) + config_size(admin, name, "1")
    answer = admin.delete(f"/v1/repositories/{name}/tags/1")
    assert answer.headers["Pier-Freed-Bytes"] == str(alone)
    assert (bool(held(door, base)), bool(held(door, one)), bool(held(door, two))) == (True, False, True)
    assert admin.get(f"/v1/images/{two.id}/ancestry").json() == [two.id, base.id]
    assert admin.get(f"/v1/images/{base.id}/layer").content == blob(base)


def test_what_another_repository_holds_stays(admin: httpx.Client, name: str) -> None:
    top = pushed(admin, name, "1")[0]
    put_tag(admin, f"other-{name}", "1", top.id)
    assert admin.delete(f"/v1/repositories/{name}/tags/1").headers["Pier-Freed-Bytes"] == "0"
    assert admin.get(f"/v1/images/{top.id}/layer").content == blob(top)


def test_two_images_with_one_layer_content_share_its_file(door: Running, admin: httpx.Client, name: str) -> None:
    one = image(size=MIB)
    twin = Layer((own := image()).id, own.json, None, one.layer)
    push(admin, name, "1", one)
    (before, _) = used(door)
    push(admin, name, "2", twin)
    assert used(door)[0] == before
    assert admin.delete(f"/v1/repositories/{name}/tags/1").headers["Pier-Freed-Bytes"] == "0"
    assert admin.get(f"/v1/images/{twin.id}/layer").content == blob(one)
    shared = len(blob(one)) + config_size(admin, name, "2")
    assert admin.delete(f"/v1/repositories/{name}/tags/2").headers["Pier-Freed-Bytes"] == str(shared)


def test_deleting_twice_is_404_and_counts_once(admin: httpx.Client, name: str) -> None:
    pushed(admin, name, "1")
    kept = pushed(admin, name, "2")[0]
    path = f"/v1/repositories/{name}/tags/1"
    assert admin.delete(path).status_code == 200
    before = admin.get("/api/usage").json()
    assert error(admin.delete(path)) == (404, "Tag not found: 1")
    assert admin.get("/api/usage").json() == before
    assert admin.get(f"/v1/repositories/{name}/tags").json() == {"2": kept.id}


def test_a_deleted_image_can_be_pushed_again(admin: httpx.Client, name: str) -> None:
    top = pushed(admin, name, "1")[0]
    admin.delete(f"/v1/repositories/{name}/tags/1")
    assert error(admin.get(f"/v1/images/{top.id}/json")) == (404, "Image not found")
    push(admin, name, "1", top)
    assert admin.get(f"/v1/images/{top.id}/layer").content == blob(top)


def test_the_last_tag_takes_the_repository_along(admin: httpx.Client, name: str) -> None:
    pushed(admin, name, "1")
    admin.delete(f"/v1/repositories/{name}/tags/1")
    assert error(admin.get(f"/v1/repositories/{name}/tags")) == (404, "Repository not found")


@pytest.mark.parametrize("suffix", ["/", "", "/tags"])
def test_a_repository_delete_removes_every_tag_and_frees_the_disk(
    door: Running, admin: httpx.Client, name: str, suffix: str
) -> None:
    chains = [pushed(admin, name, tag, depth=2, size=MIB) for tag in ("1", "2", "3")]
    freed = sum(len(blob(layer)) for chain in chains for layer in chain)
    freed += sum(config_size(admin, name, tag) for tag in ("1", "2", "3"))
    (before, files) = used(door)
    answer = admin.delete(f"/v1/repositories/{name}{suffix}")
    (after, left) = used(door)
    assert (answer.status_code, answer.text) == (200, "true")
    assert answer.headers["Pier-Freed-Bytes"] == str(freed)
    assert files - left == 6 + 3  # layers and configs
    assert abs((before - after) - freed) <= 9 * 4096
    assert error(admin.get(f"/v1/repositories/{name}/tags")) == (404, "Repository not found")


def test_a_repository_called_tags_is_refused_and_not_taken_for_the_list_of_tags(admin: httpx.Client, name: str) -> None:
    top = pushed(admin, name, "1")[0]
    assert error(admin.delete(f"/v1/repositories/{name}/tags/"))[0] == 400
    assert admin.get(f"/v1/repositories/{name}/tags").json() == {"1": top.id}


def test_a_repository_delete_leaves_what_others_hold(admin: httpx.Client, name: str) -> None:
    chain = pushed(admin, name, "1", depth=2)
    put_tag(admin, f"keeper-{name}", "1", chain[0].id)
    alone = len(blob(chain[1])) + config_size(admin, name, "1")
    assert admin.delete(f"/v1/repositories/{name}/").headers["Pier-Freed-Bytes"] == str(alone)
    assert admin.get(f"/v1/images/{chain[0].id}/layer").content == blob(chain[0])


@pytest.mark.parametrize("suffix", ["/", "", "/tags"])
def test_deleting_an_unknown_repository_is_not_found(admin: httpx.Client, name: str, suffix: str) -> None:
    assert error(admin.delete(f"/v1/repositories/{name}{suffix}")) == (404, "Repository not found")


def test_deleting_a_repository_needs_admin_right_and_deleting_a_tag_push_right(
    door: Running, admin: httpx.Client, name: str
) -> None:
    pusher = user(door, "deleter", "push", "*")
    pushed(admin, name, "1")
    pushed(admin, name, "2")
    assert error(pusher.delete(f"/v1/repositories/{name}/"))[0] == 403
    assert error(pusher.delete(f"/v1/repositories/{name}/tags"))[0] == 403
    assert error(pusher.delete(f"/v1/repositories/{name}/images"))[0] == 403
    assert pusher.delete(f"/v1/repositories/{name}/tags/1").status_code == 200
    assert list(admin.get(f"/v1/repositories/{name}/tags").json()) == ["2"]


def test_a_running_pull_ends_well_though_its_tag_is_deleted(admin: httpx.Client, name: str) -> None:
    top = pushed(admin, name, "1", size=8 * MIB)[0]
    with admin.stream("GET", f"/v1/images/{top.id}/layer") as answer:
        pieces = answer.iter_raw(65536)
        got = next(pieces)
        assert admin.delete(f"/v1/repositories/{name}/tags/1").status_code == 200
        got += b"".join(pieces)
    assert got == blob(top)


def test_what_a_running_push_was_promised_is_pending_and_comes_back_at_its_end(
    door: Running, admin: httpx.Client, name: str
) -> None:
    top = pushed(admin, name, "1")[0]
    admin.put(f"/v1/repositories/{name}/", json=[{"id": top.id, "Tag": "2"}])
    assert admin.get(f"/v1/images/{top.id}/json").status_code == 200
    unpromised = config_size(admin, name, "1")
    answer = admin.delete(f"/v1/repositories/{name}/tags/1")
    assert answer.headers["Pier-Freed-Bytes"] == str(unpromised)
    assert answer.headers["Pier-Pending-Bytes"] == str(len(blob(top)))
    assert held(door, top)
    assert admin.put(f"/v1/repositories/{name}/images", json=[]).status_code == 204
    assert not held(door, top)


def test_a_push_that_was_told_an_image_exists_can_still_tag_it_after_a_delete(admin: httpx.Client, name: str) -> None:
    top = pushed(admin, name, "1")[0]
    admin.put(f"/v1/repositories/{name}/", json=[{"id": top.id, "Tag": "2"}])
    assert admin.get(f"/v1/images/{top.id}/json").status_code == 200
    admin.delete(f"/v1/repositories/{name}/tags/1")
    assert put_tag(admin, name, "2", top.id).status_code == 200
    admin.put(f"/v1/repositories/{name}/images", json=[])
    assert admin.get(f"/v1/images/{top.id}/layer").content == blob(top)
