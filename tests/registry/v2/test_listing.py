"""Lists of tags and of repositories: in order of their bytes, complete page by page, only what the caller may pull."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import httpx
import pytest

from tests.parts.registry import Running
from tests.registry.v2 import documents, places
from tests.registry.v2.answers import connect, connect_as, refusal
from tests.registry.v2.documents import digest
from tests.registry.v2.pushing import Repository

pytestmark = places.everywhere

TAGS: Final = ["v1", "V1", "a", "A", "Z", "_", "0", "10", "9", "a.b", "a-b", "a_b", "aa", "latest", "v1.0", "v1-rc"]
BAD_NUMBERS: Final = ["-1", "x", "1.5", "", "0x10", "1e3", "+1", " 1", "\u0661"]


def pages(client: httpx.Client, path: str, member: str) -> Iterator[list[str]]:
    """Each page of a list, from this one to the last, as a client follows them."""
    while path:
        answer = client.get(path)
        assert answer.status_code == 200, answer.text
        assert answer.headers["Content-Type"] == "application/json"
        yield answer.json()[member]
        told = answer.headers.get("Link", "")
        assert not told or re.fullmatch(r'</v2/[^>]*>; ?rel="?next"?', told), told
        path = told.partition(">")[0].removeprefix("<")


def whole(found: Iterator[list[str]]) -> list[str]:
    return [each for page in found for each in page]


@pytest.fixture
def tagged(repository: Repository) -> Repository:
    """With all of TAGS, on one manifest."""
    repository.blob(documents.EMPTY)
    for tag in TAGS:
        repository.manifest(documents.image(), tag)
    return repository


def test_tags_are_sorted_by_their_bytes(tagged: Repository) -> None:
    answer = tagged.http.get(tagged.path("tags/list"))
    assert answer.json() == {"name": tagged.name, "tags": sorted(TAGS)}
    assert "Link" not in answer.headers


@pytest.mark.parametrize("number", [1, 3, 15, 16, 17])
def test_the_pages_together_are_the_whole_list(tagged: Repository, number: int) -> None:
    found = list(pages(tagged.http, tagged.path(f"tags/list?n={number}"), "tags"))
    assert [each for page in found for each in page] == sorted(TAGS)
    assert all(len(page) <= number for page in found)
    assert all(len(page) == number for page in found[:-1])


def test_a_page_of_nothing_is_empty_and_the_last(tagged: Repository) -> None:
    answer = tagged.http.get(tagged.path("tags/list?n=0"))
    assert (answer.status_code, answer.json()["tags"]) == (200, [])
    assert "Link" not in answer.headers


@pytest.mark.parametrize("last", ["Z", "Zz", "a-a", "zzz", "0", "!", "v1", "V1"])
def test_a_page_begins_after_a_name_that_need_not_be_there(tagged: Repository, last: str) -> None:
    assert tagged.tags(last=last) == [tag for tag in sorted(TAGS) if tag > last]
    assert tagged.tags(last=last, n=2) == [tag for tag in sorted(TAGS) if tag > last][:2]


@pytest.mark.parametrize("number", BAD_NUMBERS)
def test_a_number_that_is_none_is_refused(tagged: Repository, number: str) -> None:
    for path in (tagged.path("tags/list"), "/v2/_catalog"):
        assert refusal(tagged.http.get(path, params={"n": number})) == (400, "PAGINATION_NUMBER_INVALID")


@pytest.mark.parametrize("number", [10**6, 999_999_999, 10**17])
def test_a_number_beyond_all_pages_is_made_smaller(tagged: Repository, number: int) -> None:
    assert tagged.tags(n=number) == sorted(TAGS)
    assert tagged.http.get(f"/v2/_catalog?n={number}").status_code == 200


@pytest.mark.parametrize("last", ["x" * 6_000, "' OR 1=1 --", "%", "_", "\\", "\0", "💥", "a\r\nSet-Cookie: x=1"])
def test_no_last_name_breaks_a_list(tagged: Repository, last: str) -> None:
    for path in (tagged.path("tags/list"), "/v2/_catalog"):
        answer = tagged.http.get(path, params={"last": last, "n": 1})
        assert answer.status_code in {200, 400}
        assert "Set-Cookie" not in answer.headers


def test_a_last_name_beyond_all_measure_is_refused_by_whoever_reads_it_first(door: Running) -> None:
    with door.client() as client:
        assert client.get("/v2/_catalog", params={"last": "x" * 10_000}).status_code in {200, 400, 414}


def test_tags_that_differ_in_case_are_two(tagged: Repository) -> None:
    other = tagged.manifest(documents.image(annotations={"other": "1"}), "V1")
    assert tagged.pulled("V1") == other
    assert tagged.pulled("v1") == digest(documents.image())
    assert tagged.delete("V1").status_code == 202
    assert tagged.pulled("v1") == digest(documents.image())


def test_head_of_a_list_tells_what_get_tells(tagged: Repository) -> None:
    for path in (tagged.path("tags/list"), "/v2/_catalog"):
        full, bare = tagged.http.get(path), tagged.http.head(path)
        assert (bare.status_code, bare.content) == (200, b"")
        assert bare.headers["Content-Length"] == full.headers["Content-Length"]


def test_an_unknown_repository_has_no_list(repository: Repository) -> None:
    answer = repository.http.get(repository.path("tags/list"))
    assert refusal(answer) == (404, "NAME_UNKNOWN")


def test_a_repository_without_tags_has_an_empty_list(repository: Repository) -> None:
    repository.blob(documents.EMPTY)
    repository.manifest(documents.image())
    answer = repository.http.get(repository.path("tags/list"))
    assert (answer.status_code, answer.json()) == (200, {"name": repository.name, "tags": []})


def test_a_repository_is_gone_with_its_last_tag(repository: Repository) -> None:
    repository.blob(documents.EMPTY)
    repository.manifest(documents.image(), "1")
    assert repository.name in whole(pages(repository.http, "/v2/_catalog", "repositories"))
    repository.delete("1")
    assert refusal(repository.http.get(repository.path("tags/list"))) == (404, "NAME_UNKNOWN")
    assert repository.name not in whole(pages(repository.http, "/v2/_catalog", "repositories"))


@pytest.fixture
def thousand(door: Running, name: str) -> list[str]:
    """Names of a thousand repositories, sorted."""
    names = sorted(f"{name.partition('/')[0]}-many/{number:x}" for number in range(1000))

    def push(some: list[str]) -> None:
        with connect(door) as client:
            for each in some:
                Repository(client, each).manifest(documents.index(), "1")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(push, [names[start::4] for start in range(4)]))
    return names


def test_a_thousand_repositories_are_listed_page_by_page(
    door: Running, admin: httpx.Client, thousand: list[str], newcomer: str
) -> None:
    for path in ("/v2/_catalog", "/v2/_catalog?n=100", "/v2/_catalog?n=999"):
        found = whole(pages(admin, path, "repositories"))
        assert found == sorted(set(found))
        assert [each for each in found if each in set(thousand)] == thousand
    pattern = f"{thousand[0].partition('/')[0]}/*"
    with connect_as(door, newcomer, "pull", pattern) as reader:
        shown = list(pages(reader, "/v2/_catalog?n=300", "repositories"))
        assert whole(iter(shown)) == thousand
        assert all(shown)


def test_the_catalog_shows_what_the_caller_may_pull(door: Running, tagged: Repository, newcomer: str) -> None:
    with connect_as(door, newcomer, "pull", tagged.name) as reader:
        assert reader.get("/v2/_catalog").json() == {"repositories": [tagged.name]}
    with connect_as(door, f"{newcomer}-none", "none") as nobody:
        answer = nobody.get("/v2/_catalog")
        assert answer.json() == {"repositories": []}
        assert "Link" not in answer.headers


def test_the_catalog_spells_a_name_of_one_part_short(admin: httpx.Client, name: str) -> None:
    repository = Repository(admin, name.replace("/", "-"))
    repository.manifest(documents.index(), "1")
    listed = whole(pages(admin, "/v2/_catalog", "repositories"))
    assert repository.name in listed
    assert f"library/{repository.name}" not in listed
