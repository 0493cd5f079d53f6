"""A manifest comes back byte for byte, under the type it was pushed as, by its digest and by every tag."""

from __future__ import annotations

import json
from typing import Final

import httpx
import pytest

from tests.parts.registry import Running
from tests.registry.v2 import documents
from tests.registry.v2.answers import connect, refusal
from tests.registry.v2.documents import (
    AMD64,
    ARM64,
    DOCKER_CONFIG,
    DOCKER_IMAGE,
    DOCKER_LIST,
    EMPTY,
    OCI_IMAGE,
    OCI_INDEX,
    digest,
    noise,
)
from tests.registry.v2.pushing import Repository

MIB: Final = 1 << 20
LARGEST: Final = 4 * MIB


def stored(answer: httpx.Response, repository: Repository, body: bytes, algorithm: str = "sha256") -> bool:
    name = digest(body, algorithm)
    return (
        answer.status_code == 201
        and answer.headers["Docker-Content-Digest"] == name
        and answer.headers["Location"] == repository.path(f"manifests/{name}")
        and answer.headers["Content-Length"] == "0"
        and "OCI-Subject" not in answer.headers
    )


@pytest.fixture
def repository(admin: httpx.Client, name: str) -> Repository:
    """With the empty blob in it."""
    made = Repository(admin, name)
    made.blob(EMPTY)
    return made


def test_a_manifest_pushed_by_tag_is_there_by_tag_and_by_digest(repository: Repository) -> None:
    body = documents.image()
    assert stored(repository.put(body, "1"), repository, body)
    for reference in ("1", digest(body)):
        answer = repository.get(reference)
        assert (answer.status_code, answer.content) == (200, body)
        assert answer.headers["Content-Type"] == OCI_IMAGE
        assert answer.headers["Docker-Content-Digest"] == digest(body)
        assert answer.headers["Content-Length"] == str(len(body))
        assert answer.headers["ETag"] == f'"{digest(body)}"'


def test_a_manifest_pushed_by_digest_is_there_without_a_tag(repository: Repository) -> None:
    body = documents.image(annotations={"only": "by digest"})
    assert stored(repository.put(body), repository, body)
    assert repository.pulled(digest(body)) == digest(body)
    assert repository.tags() == []


def test_the_bytes_are_kept_as_they_are(repository: Repository) -> None:
    """Order, blanks, unknown members, numbers and escapes are part of what the digest names."""
    body = documents.image()[:-1] + b',  "unknown" :\n\t[1.0, 1e2, "\\u00e9", "\xc3\xa9", {"z":1, "a":2}], "a":null}\n'
    assert stored(repository.put(body, "1"), repository, body)
    assert repository.get("1").content == body


@pytest.mark.parametrize("parameter", ["; charset=utf-8", ";charset=utf-8", " ; q=1; x=y"])
def test_parameters_of_the_type_are_not_kept(repository: Repository, parameter: str) -> None:
    body = documents.image()
    assert stored(repository.put(body, "1", OCI_IMAGE + parameter), repository, body)
    assert repository.get("1").headers["Content-Type"] == OCI_IMAGE
    assert repository.get("1").content == body


@pytest.mark.parametrize("kind", [OCI_IMAGE, DOCKER_IMAGE, OCI_INDEX, DOCKER_LIST])
@pytest.mark.parametrize("told", ["in both", "in the header", "in the body"])
def test_every_type_of_today_is_taken_wherever_it_is_told(repository: Repository, kind: str, told: str) -> None:
    make = documents.index if kind in {OCI_INDEX, DOCKER_LIST} else documents.image
    body = make(mediaType=None if told == "in the header" else kind, annotations={"told": told})
    assert stored(repository.put(body, "1", "" if told == "in the body" else kind), repository, body)
    assert repository.get("1").headers["Content-Type"] == kind


@pytest.mark.parametrize(("body", "kind"), [(documents.image, OCI_IMAGE), (documents.index, OCI_INDEX)])
def test_without_any_type_the_shape_tells_it(repository: Repository, body: type[bytes], kind: str) -> None:
    made = body(mediaType=None)  # type: ignore[call-overload]
    assert repository.put(made, "1", "").status_code == 201
    assert repository.get("1").headers["Content-Type"] == kind


def test_a_docker_image_comes_back_as_one(repository: Repository) -> None:
    layer = noise()
    config = documents.config(layer)
    for data in (layer, config):
        repository.blob(data)
    told = json.loads(documents.image(layer, config=config, mediaType=DOCKER_IMAGE))
    told["config"]["mediaType"] = DOCKER_CONFIG
    pushed = repository.manifest(documents.encoded(told), "1")
    assert repository.get("1").headers["Content-Type"] == DOCKER_IMAGE
    assert repository.pulled("1") == pushed


def test_a_manifest_may_be_pushed_again_and_again(repository: Repository) -> None:
    body = documents.image()
    for reference in ("1", "1", "2", digest(body), "1"):
        assert stored(repository.put(body, reference), repository, body)
    assert repository.tags() == ["1", "2"]


def test_a_tag_moves_to_what_was_pushed_last(repository: Repository) -> None:
    for number in range(3):
        body = documents.image(annotations={"number": str(number)})
        assert stored(repository.put(body, "1"), repository, body)
        assert repository.pulled("1") == digest(body)
    assert repository.tags() == ["1"]


def test_a_manifest_belongs_to_its_repository(repository: Repository, elsewhere: Repository) -> None:
    pushed = repository.manifest(documents.image(), "1")
    for reference in (pushed, "1"):
        assert refusal(elsewhere.get(reference)) == (404, "MANIFEST_UNKNOWN") or (
            refusal(elsewhere.get(reference)) == (404, "NAME_UNKNOWN")
        )
        assert elsewhere.head(reference).status_code == 404


@pytest.mark.parametrize("reference", ["unknown", digest(b"unknown"), digest(b"unknown", "sha512")])
def test_an_unknown_manifest_is_not_found(repository: Repository, reference: str) -> None:
    repository.manifest(documents.image(), "1")
    assert refusal(repository.get(reference)) == (404, "MANIFEST_UNKNOWN")
    assert repository.head(reference).status_code == 404


@pytest.mark.parametrize("by", ["tag", "digest"])
def test_head_tells_what_get_tells(repository: Repository, by: str) -> None:
    body = documents.image(noise_layer(repository))
    repository.manifest(body, "1")
    reference = "1" if by == "tag" else digest(body)
    full, bare = repository.get(reference), repository.head(reference)
    told = ("Content-Length", "Content-Type", "Docker-Content-Digest", "ETag", "Docker-Distribution-Api-Version")
    assert {name: bare.headers[name] for name in told} == {name: full.headers[name] for name in told}
    assert (bare.status_code, bare.content, bare.headers["Content-Length"]) == (200, b"", str(len(body)))


def noise_layer(repository: Repository) -> bytes:
    layer = noise()
    repository.blob(layer)
    return layer


@pytest.mark.parametrize("by", ["tag", "digest"])
def test_who_has_it_already_is_told_so(repository: Repository, by: str) -> None:
    body = documents.image()
    repository.manifest(body, "1")
    reference = "1" if by == "tag" else digest(body)
    for told in (f'"{digest(body)}"', f'"other", "{digest(body)}"', f'W/"{digest(body)}"', "*"):
        answer = repository.get(reference, **{"If-None-Match": told})
        assert (answer.status_code, answer.content) == (304, b""), told
        assert repository.head(reference, **{"If-None-Match": told}).status_code == 304
    assert repository.get(reference, **{"If-None-Match": '"other"'}).content == body
    assert repository.get(reference, **{"If-Modified-Since": "Fri, 01 Jan 2038 00:00:00 GMT"}).content == body


def test_a_tag_that_moved_is_new_to_who_had_the_old(repository: Repository) -> None:
    old = repository.manifest(documents.image(), "1")
    new = repository.manifest(documents.image(annotations={"new": "1"}), "1")
    answer = repository.get("1", **{"If-None-Match": f'"{old}"'})
    assert (answer.status_code, answer.headers["Docker-Content-Digest"]) == (200, new)
    assert "immutable" not in answer.headers.get("Cache-Control", "")


def sized(size: int) -> bytes:
    """A manifest of exactly so many bytes."""
    bare = len(documents.image(annotations={"fill": ""}))
    return documents.image(annotations={"fill": "x" * (size - bare)})


@pytest.mark.parametrize("size", [3_900_000, LARGEST - 1, LARGEST])
def test_a_manifest_may_have_four_mebibytes(repository: Repository, size: int) -> None:
    body = sized(size)
    assert len(body) == size
    assert stored(repository.put(body, "1"), repository, body)
    assert repository.get("1").content == body
    assert repository.delete("1").status_code == 202


@pytest.mark.usefixtures("repository", "unchanged")
@pytest.mark.parametrize("size", [LARGEST + 1, 8 * MIB, 40 * MIB])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_larger_manifest_is_refused(repository: Repository, size: int, framing: str) -> None:
    body = sized(size)
    sent = body if framing == "length" else (body[at : at + 65_536] for at in range(0, size, 65_536))
    answer = repository.http.put(repository.path("manifests/1"), content=sent, headers={"Content-Type": OCI_IMAGE})
    assert answer.status_code == 413
    assert refusal(answer)[1] in {"SIZE_INVALID", "MANIFEST_INVALID"}
    assert not repository.knows(digest(body))


def test_a_manifest_may_have_a_sha512_digest(repository: Repository) -> None:
    body = documents.image()
    name = digest(body, "sha512")
    assert stored(repository.put(body, name), repository, body, "sha512")
    assert repository.pulled(name) == name
    assert repository.get(name).content == body


def test_the_same_bytes_may_have_both_digests(repository: Repository) -> None:
    body = documents.image()
    for name in (digest(body), digest(body, "sha512")):
        repository.put(body, name)
        assert repository.pulled(name) == name


def test_one_request_may_set_many_tags(repository: Repository) -> None:
    body = documents.image()
    tags = [f"tag-{number}" for number in range(10)]
    answer = repository.put(body, tag=tags)
    assert stored(answer, repository, body)
    assert _told(answer) == tags
    assert repository.tags() == tags
    assert {repository.pulled(tag) for tag in tags} == {digest(body)}


def _told(answer: httpx.Response) -> list[str]:
    return sorted(part.strip() for line in answer.headers.get_list("OCI-Tag") for part in line.split(","))


def test_a_tag_that_is_set_along_moves_as_any_other(repository: Repository) -> None:
    repository.manifest(documents.image(), "1")
    new = documents.image(annotations={"new": "1"})
    assert _told(repository.put(new, tag=["1"])) == ["1"]
    assert repository.pulled("1") == digest(new)


@pytest.mark.usefixtures("repository", "unchanged")
@pytest.mark.parametrize("tags", [["good", ".bad"], ["x" * 129], [""]])
def test_of_many_tags_all_are_good_or_none_is_set(repository: Repository, tags: list[str]) -> None:
    assert refusal(repository.put(documents.image(), tag=tags))[0] == 400
    assert repository.tags() == []


def test_every_process_knows_of_a_manifest_as_soon_as_one_said_so(door: Running, repository: Repository) -> None:
    for number in range(5):
        pushed = repository.manifest(documents.image(annotations={"number": str(number)}), "1")
        for _ in range(4):
            with connect(door) as other:
                assert repository.seen_by(other).pulled("1") == pushed


@pytest.fixture
def platforms(repository: Repository) -> dict[str, str]:
    """Digests of an index under tag 1, and of its children."""
    arm, amd = documents.image(annotations={"for": "arm"}), documents.image(mediaType=DOCKER_IMAGE)
    for body in (arm, amd):
        repository.manifest(body)
    body = documents.index(arm, amd, platforms=(ARM64, AMD64))
    return {"index": repository.manifest(body, "1"), "amd64": digest(amd), "arm64": digest(arm)}


@pytest.mark.parametrize(
    "accept", ["", "*/*", OCI_INDEX, f"{DOCKER_IMAGE}, {OCI_INDEX}", "application/json", "text/html"]
)
def test_an_index_is_served_as_it_is(repository: Repository, platforms: dict[str, str], accept: str) -> None:
    for reference in ("1", platforms["index"]):
        answer = repository.get(reference, Accept=accept)
        assert answer.status_code == 200
        assert answer.headers["Docker-Content-Digest"] == platforms["index"] == digest(answer.content)


@pytest.mark.parametrize("accept", [DOCKER_IMAGE, OCI_IMAGE, f"{OCI_IMAGE}, {DOCKER_IMAGE}"])
def test_a_client_that_knows_no_index_gets_the_usual_image_of_a_tag(
    repository: Repository, platforms: dict[str, str], accept: str
) -> None:
    for answer in (repository.get("1", Accept=accept), repository.head("1", Accept=accept)):
        assert answer.headers["Docker-Content-Digest"] == platforms["amd64"]
        assert answer.headers["Content-Type"] == DOCKER_IMAGE
    assert digest(repository.get("1", Accept=accept).content) == platforms["amd64"]


def test_by_digest_nobody_gets_something_else(repository: Repository, platforms: dict[str, str]) -> None:
    for name in platforms.values():
        answer = repository.get(name, Accept=DOCKER_IMAGE)
        assert (answer.status_code, digest(answer.content)) == (200, name)


def test_an_index_without_the_usual_image_is_served_as_it_is(repository: Repository) -> None:
    arm = documents.image(annotations={"for": "arm"})
    repository.manifest(arm)
    pushed = repository.manifest(documents.index(arm, platforms=(ARM64,)), "1")
    assert repository.get("1", Accept=DOCKER_IMAGE).headers["Docker-Content-Digest"] == pushed


def test_an_image_is_served_to_clients_that_ask_for_something_else(repository: Repository) -> None:
    pushed = repository.manifest(documents.image(), "1")
    for accept in (DOCKER_IMAGE, OCI_INDEX, "text/plain"):
        answer = repository.get("1", Accept=accept)
        assert (answer.status_code, answer.headers["Docker-Content-Digest"]) == (200, pushed)
