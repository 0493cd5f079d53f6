"""What each address of the JSON API answers."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.parts.registry import Running
from tests.registry.protocol.doors import user
from tests.registry.protocol.pushing import (
    blob,
    config_size,
    digest,
    image,
    manifest_digest,
    push,
    pushed,
    put_image,
    put_tag,
)


def refusal(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of the one error."""
    (error,) = answer.json()["errors"]
    assert {"code", "message"} <= set(error)
    assert error["message"]
    return answer.status_code, error["code"]


def get(client: httpx.Client, path: str, **query: Any) -> Any:
    answer = client.get(f"/api/{path}", params=query)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json"), answer.text
    return answer.json()


def test_the_description_is_openapi_and_names_every_address(admin: httpx.Client) -> None:
    told = get(admin, "openapi.json")
    assert told["openapi"].startswith("3.1")
    assert set(told["paths"]) == {
        "/api/openapi.json",
        "/api/usage",
        "/api/repositories",
        "/api/repositories/{repository}",
        "/api/repositories/{repository}/reclaim",
        "/api/repositories/{repository}/tags",
        "/api/repositories/{repository}/tags/{tag}",
        "/api/repositories/{repository}/tags/{tag}/reclaim",
        "/api/layers/{digest}",
    }


def test_usage_counts_what_a_push_adds_and_a_delete_takes(admin: httpx.Client, name: str) -> None:
    before = get(admin, "usage")
    chain = pushed(admin, name, "1", depth=2)
    size = sum(len(blob(layer)) for layer in chain) + config_size(admin, name, "1")
    during = get(admin, "usage")
    added = {key: during[key] - before[key] for key in before if during[key] != before[key]}
    stored = {"layers": 2 + 1, "bytes": size}  # the config of the manifest is a stored layer too
    assert added == {"repositories": 1, "tags": 1, "manifests": 1, "images": 2} | stored
    admin.delete(f"/api/repositories/{name}/tags/1")
    assert get(admin, "usage") == before | {"freed_bytes": before["freed_bytes"] + size}


def test_usage_is_for_those_who_may_see_everything(door: Running) -> None:
    one = user(door, "usageone", "admin", "team/*")
    all_ = user(door, "usageall", "pull", "*")
    assert refusal(one.get("/api/usage")) == (403, "DENIED")
    assert all_.get("/api/usage").status_code == 200


def test_a_repository_tells_its_access_and_number_of_tags(admin: httpx.Client, name: str) -> None:
    top = pushed(admin, name, "1")[0]
    put_tag(admin, name, "2", top.id)
    assert get(admin, f"repositories/{name}") == {"repository": name, "access": "private", "tags": 2}


def test_a_single_name_is_told_short_however_it_was_asked(admin: httpx.Client) -> None:
    pushed(admin, "library/short", "1")
    assert get(admin, "repositories/short") == get(admin, "repositories/library/short")
    assert get(admin, "repositories/library%2Fshort/tags")["repository"] == "short"
    assert "short" in get(admin, "repositories")["repositories"]


def test_a_tag_tells_where_it_points_and_since_when(admin: httpx.Client, name: str) -> None:
    top = pushed(admin, name, "1")[0]
    told = get(admin, f"repositories/{name}/tags/1")
    updated = datetime.fromisoformat(told.pop("updated"))
    assert abs(datetime.now(updated.tzinfo) - updated) < timedelta(seconds=60)
    assert updated.utcoffset() == timedelta(0)
    assert told == {"repository": name, "tag": "1", "image": top.id, "digest": manifest_digest(admin, name, "1")}


def test_tags_are_listed_as_each_is_told(admin: httpx.Client, name: str) -> None:
    for tag in ("b", "a"):
        pushed(admin, name, tag)
    told = get(admin, f"repositories/{name}/tags")
    assert [each["tag"] for each in told["tags"]] == ["a", "b"]
    assert told["tags"][0] | {"repository": name} == get(admin, f"repositories/{name}/tags/a")
    assert (told["repository"], told["next"]) == (name, None)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 1000])
def test_a_walk_over_tags_meets_each_once(admin: httpx.Client, name: str, size: int) -> None:
    top = pushed(admin, name, "A")[0]
    for tag in ("_", "a", "B", "0"):
        put_tag(admin, name, tag, top.id)
    assert walk(admin, f"repositories/{name}/tags", "tags", size) == ["0", "A", "B", "_", "a"]


def walk(client: httpx.Client, path: str, member: str, size: int) -> list[str]:
    found: list[str] = []
    last = ""
    for _ in range(100):
        page = get(client, path, n=size, last=last)
        names = [each["tag"] if isinstance(each, dict) else each for each in page[member]]
        assert len(names) <= size
        found += names
        if page["next"] is None:
            return found
        last = page["next"]
    raise AssertionError("the pages do not end")


@pytest.mark.parametrize("size", [1, 2, 4])
def test_a_walk_over_repositories_meets_each_once_single_names_too(
    door: Running, admin: httpx.Client, size: int
) -> None:
    who = f"walker{size}"
    walker = user(door, who, "pull", "w*")
    top = pushed(admin, "walk/a", "1")[0]
    for name in ("walk", "walka", "walk/b", "walk/b/c", "wa/lk"):
        put_tag(admin, name, "1", top.id)
    assert sorted(walk(walker, "repositories", "repositories", size)) == sorted(
        ["walk/a", "walk", "walka", "walk/b", "walk/b/c", "wa/lk"]
    )


def test_a_page_of_nothing_is_empty(admin: httpx.Client, name: str) -> None:
    pushed(admin, name, "1")
    assert get(admin, "repositories", n=0) == {"repositories": [], "next": None}
    assert get(admin, f"repositories/{name}/tags", n=0)["tags"] == []


def test_a_layer_tells_its_holders_and_its_tags(admin: httpx.Client, name: str) -> None:
    base = image()
    tops = [image(base), image(base)]
    push(admin, name, "1", base, tops[0])
    put_image(admin, tops[1])
    put_tag(admin, name, "2", tops[1].id)
    put_tag(admin, name, "3", tops[1].id)
    assert get(admin, f"layers/{digest(base)}") == {
        "digest": digest(base),
        "size": len(blob(base)),
        "cnt": 1 + 2,  # its image and the manifests of the two tops
        "tags": 3,
        "held_by": [f"{name}:1", f"{name}:2", f"{name}:3"],
        "others": 0,
        "leased": False,
    }


def test_a_layer_promised_to_a_push_says_so(admin: httpx.Client, name: str) -> None:
    layer = image()
    put_image(admin, layer)
    assert get(admin, f"layers/{digest(layer)}")["tags"] == 0
    put_tag(admin, name, "1", layer.id)
    assert get(admin, f"layers/{digest(layer)}")["leased"] is False


def test_holders_outside_the_readers_rights_are_a_number(door: Running, admin: httpx.Client, name: str) -> None:
    reader = user(door, "holder", "pull", "seen/*")
    top = pushed(admin, name, "1")[0]
    put_tag(admin, name, "2", top.id)
    path = f"layers/{digest(top)}"
    assert refusal(reader.get(f"/api/{path}")) == (404, "BLOB_UNKNOWN")
    put_tag(admin, "seen/app", "1", top.id)
    told = get(reader, path)
    assert (told["held_by"], told["others"], told["tags"], told["cnt"]) == (["seen/app:1"], 2, 3, 1 + 2)
    assert name not in str(told)


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("repositories/no/such", 404, "NAME_UNKNOWN"),
        ("repositories/no/such/tags", 404, "NAME_UNKNOWN"),
        ("repositories/no/such/tags/1", 404, "MANIFEST_UNKNOWN"),
        ("repositories/no/such/tags/1/reclaim", 404, "MANIFEST_UNKNOWN"),
        ("repositories/no/such/reclaim", 404, "NAME_UNKNOWN"),
        ("repositories/UPPER", 400, "NAME_INVALID"),
        ("repositories/a/b/tags/.x", 400, "TAG_INVALID"),
        ("layers/sha256:0", 400, "DIGEST_INVALID"),
        ("layers/sha256:" + "0" * 64, 404, "BLOB_UNKNOWN"),
        ("repositories?n=x", 400, "PAGINATION_NUMBER_INVALID"),
        ("nothing", 404, "UNSUPPORTED"),
    ],
)
def test_a_refusal_has_a_status_and_a_code(admin: httpx.Client, path: str, status: int, code: str) -> None:
    assert refusal(admin.get(f"/api/{path}")) == (status, code)


@pytest.mark.parametrize("path", ["repositories/no/such", "repositories/no/such/tags/1"])
def test_deleting_what_is_not_there_is_404(admin: httpx.Client, path: str) -> None:
    assert refusal(admin.delete(f"/api/{path}"))[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_a_method_that_is_not_described_is_405(admin: httpx.Client, method: str) -> None:
    assert refusal(admin.request(method, "/api/repositories")) == (405, "UNSUPPORTED")
