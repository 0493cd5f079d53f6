"""Search, and the two lists of the 2015 original, page by page and within the caller's rights."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.parts.registry import Running
from tests.registry.protocol.doors import user
from tests.registry.protocol.pushing import blob, error, image, push, pushed, put_tag

NAMES = ["list-a/one", "list-a/two", "list-b/one", "list-c/deep/er", "list_d/x"]


@pytest.fixture(scope="session")
def listed(door: Running, admin: httpx.Client) -> httpx.Client:
    """A user who sees nothing but five repositories."""
    lister = user(door, "lister", "pull", "list*")
    top = pushed(admin, NAMES[0], "1", architecture="arm", os="linux", created="2015-06-01T12:00:00Z")[0]
    for name in NAMES[1:]:
        assert put_tag(admin, name, "1", top.id).status_code == 200
    return lister


def search(client: httpx.Client, **query: Any) -> Any:
    answer = client.get("/v1/search", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def names(found: Any) -> list[str]:
    return [each["name"] for each in found["results"]]


def walk(client: httpx.Client, path: str) -> Iterator[Any]:
    """Every page from here on, by the Link header."""
    for _ in range(50):
        answer = client.get(path)
        assert answer.status_code == 200, answer.text
        yield answer.json()
        link = re.fullmatch(r'<([^>]+)>; rel="next"', answer.headers.get("Link", ""))
        if not link:
            return
        path = link[1]
    raise AssertionError("the pages do not end")


def test_search_without_a_term_lists_all_with_their_namespaces(listed: httpx.Client) -> None:
    found = search(listed)
    assert names(found) == NAMES
    assert (found["query"], found["num_results"]) == ("", 5)
    assert all(set(each) == {"name", "description"} for each in found["results"])


def test_search_finds_a_part_of_the_name(listed: httpx.Client) -> None:
    found = search(listed, q="st-a/t")
    assert (names(found), found["query"], found["num_results"]) == (["list-a/two"], "st-a/t", 1)


def test_search_does_not_mind_case(listed: httpx.Client) -> None:
    assert names(search(listed, q="ONE")) == ["list-a/one", "list-b/one"]


@pytest.mark.parametrize("wild", ["%", "list%a", "_ist", "l?st", "*", "[a]", "list-a\\", "'", '" OR 1=1 --'])
def test_search_takes_wildcards_and_quotes_literally(listed: httpx.Client, wild: str) -> None:
    assert names(search(listed, q=wild)) == []


def test_search_takes_an_underscore_literally(listed: httpx.Client) -> None:
    assert names(search(listed, q="t_d")) == ["list_d/x"]


def test_search_has_pages(listed: httpx.Client) -> None:
    first, second, third, fourth = (search(listed, q="list", n=2, page=page) for page in (1, 2, 3, 4))
    assert [names(first), names(second), names(third), names(fourth)] == [NAMES[:2], NAMES[2:4], NAMES[4:], []]
    assert (first["num_results"], first["num_pages"], first["page"], first["page_size"]) == (5, 3, 1, 2)
    assert second["page"] == 2


def test_a_search_page_holds_25_unless_told_and_100_at_most(listed: httpx.Client) -> None:
    assert search(listed, q="list")["page_size"] == 25
    assert search(listed, q="list", n=5000)["page_size"] == 100
    assert search(listed, q="list", n=0)["page_size"] == 1


@pytest.mark.parametrize("query", ["n=-1", "n=abc", "n=1.5", "n=", "page=-1", "page=x", "n=%D9%A3", "n=1e3"])
def test_a_number_that_is_none_is_refused(listed: httpx.Client, query: str) -> None:
    assert error(listed.get(f"/v1/search?{query}"))[0] == 400


@pytest.mark.parametrize("path", ["/v1/search?q=x&", "/v1/allnamespaces?", "/v1/alltags?q=list-a&"])
def test_a_huge_number_is_clamped(listed: httpx.Client, path: str) -> None:
    assert listed.get(f"{path}n=999999999999999999").status_code == 200
    assert error(listed.get(f"{path}n=-1"))[0] == 400


def test_search_knows_a_single_name_by_its_library_name(admin: httpx.Client) -> None:
    pushed(admin, "lonely", "1")
    assert names(search(admin, q="lonely")) == ["library/lonely"]


def test_namespaces_have_the_originals_shape(listed: httpx.Client) -> None:
    answer = listed.get("/v1/allnamespaces").json()
    wanted = [{"namespaces": each} for each in ("list-a", "list-b", "list-c", "list_d")]
    assert answer == {"num_results": 4, "results": wanted}


def test_namespaces_have_pages(listed: httpx.Client) -> None:
    pages = list(walk(listed, "/v1/allnamespaces?n=3"))
    assert [page["num_results"] for page in pages] == [3, 1]
    assert [each["namespaces"] for page in pages for each in page["results"]] == [
        "list-a",
        "list-b",
        "list-c",
        "list_d",
    ]


def test_a_full_last_page_has_no_next(listed: httpx.Client) -> None:
    assert len(list(walk(listed, "/v1/allnamespaces?n=2"))) == 2


@pytest.mark.parametrize("path", ["/v1/allnamespaces?n=0", "/v1/alltags?q=list-a&n=0"])
def test_a_page_of_nothing_is_empty_and_the_last(listed: httpx.Client, path: str) -> None:
    answer = listed.get(path)
    assert answer.json() == {"num_results": 0, "results": []}
    assert "Link" not in answer.headers


def test_tags_of_a_namespace_have_the_originals_shape_and_describe_the_tagged_image(
    admin: httpx.Client, name: str
) -> None:
    base = image(architecture="base", os="base", created="base")
    top = image(base, architecture="arm", os="linux", created="2015-06-01T12:00:00Z")
    push(admin, name, "1", base, top)
    answer = admin.get("/v1/alltags", params={"q": name.partition("/")[0]}).json()
    line = {
        "tag": f"{name}:1",
        "id": top.id,
        "created": "2015-06-01T12:00:00Z",
        "Size": len(blob(base)) + len(blob(top)),
        "arch": "arm",
        "os": "linux",
    }
    assert answer == {"num_results": 1, "results": [line]}


def test_what_an_image_does_not_tell_is_the_word_null(admin: httpx.Client, name: str) -> None:
    pushed(admin, name, "1")
    line = admin.get("/v1/alltags", params={"q": name.partition("/")[0]}).json()["results"][0]
    assert (line["created"], line["arch"], line["os"]) == ("null", "null", "null")


@pytest.mark.parametrize("query", ["", "?q=", "?q=unknown", "?q=list-a/", "?q=list", "?q=list%25", "?q=%27", "?last=x"])
def test_an_unknown_or_empty_namespace_has_an_empty_list(listed: httpx.Client, query: str) -> None:
    assert listed.get(f"/v1/alltags{query}").json() == {"num_results": 0, "results": []}


def test_tags_of_a_namespace_have_pages(admin: httpx.Client, name: str) -> None:
    namespace = name.partition("/")[0]
    top = pushed(admin, name, "0")[0]
    for tag in ("1", "2"):
        put_tag(admin, name, tag, top.id)
        put_tag(admin, f"{namespace}/zebra", tag, top.id)
    pages = list(walk(admin, f"/v1/alltags?q={namespace}&n=2"))
    assert [each["tag"] for page in pages for each in page["results"]] == [
        f"{name}:0", f"{name}:1", f"{name}:2", f"{namespace}/zebra:1", f"{namespace}/zebra:2"
    ]  # fmt: skip
    assert [page["num_results"] for page in pages] == [2, 2, 1]


def test_lists_show_what_the_caller_may_pull_only(door: Running, admin: httpx.Client, listed: httpx.Client) -> None:
    pushed(admin, "hidden/app", "1")
    assert "hidden/app" in names(search(admin))
    assert names(search(listed, q="hidden")) == []
    assert listed.get("/v1/alltags?q=hidden").json()["num_results"] == 0
    assert {"namespaces": "hidden"} in admin.get("/v1/allnamespaces").json()["results"]
    assert {"namespaces": "hidden"} not in listed.get("/v1/allnamespaces").json()["results"]


def test_a_namespace_without_tags_is_not_listed(admin: httpx.Client) -> None:
    admin.put("/v1/repositories/announced/only/", json=[])
    assert {"namespaces": "announced"} not in admin.get("/v1/allnamespaces").json()["results"]


@pytest.mark.parametrize("path", ["/v1/search", "/v1/allnamespaces", "/v1/alltags?q=list-a"])
def test_lists_need_a_login(door: Running, path: str) -> None:
    assert error(door.anonymous().get(path))[0] == 401


def test_a_very_long_place_to_go_on_is_just_a_place(listed: httpx.Client) -> None:
    assert listed.get("/v1/allnamespaces", params={"last": "x" * 6000}).json()["num_results"] == 0
    assert listed.get("/v1/alltags", params={"q": "list-a", "last": "x" * 6000}).json()["num_results"] == 0
