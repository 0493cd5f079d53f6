"""What is no manifest, says two things at once, or names what is not there, is refused and changes nothing."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, Final

import httpx
import pytest

from tests.registry.v2 import documents
from tests.registry.v2.answers import listed, refusal
from tests.registry.v2.documents import (
    DOCKER_IMAGE,
    DOCKER_LIST,
    EMPTY,
    LAYER,
    OCI_IMAGE,
    OCI_INDEX,
    descriptor,
    digest,
    encoded,
    noise,
)
from tests.registry.v2.pushing import Repository

INVALID: Final = (400, "MANIFEST_INVALID")
SCHEMA_1: Final = "application/vnd.docker.distribution.manifest.v1+json"
SIGNED: Final = "application/vnd.docker.distribution.manifest.v1+prettyjws"


@pytest.fixture
def repository(admin: httpx.Client, name: str) -> Repository:
    """With the empty blob and a tag that nothing may move."""
    made = Repository(admin, name)
    made.blob(EMPTY)
    made.manifest(documents.image(), "kept")
    return made


@pytest.fixture
def refused(repository: Repository, state: Callable[[], str]) -> Callable[..., httpx.Response]:
    """Push this under tag 1; after the answer everything must be as before."""
    before = state()

    def push(body: bytes, content_type: str | None = None) -> httpx.Response:
        answer = repository.put(body, "1", content_type)
        assert state() == before
        assert repository.tags() == ["kept"]
        return answer

    return push


Refused = Callable[..., httpx.Response]


@pytest.mark.usefixtures("repository", "unchanged")
@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_a_body_that_is_not_what_the_digest_names_is_refused(repository: Repository, algorithm: str) -> None:
    other = digest(documents.image(annotations={"other": "1"}), algorithm)
    assert refusal(repository.put(documents.image(), other)) == (400, "DIGEST_INVALID")
    assert not repository.knows(other)


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'"x"', b"1", b"\xff", b"\xef\xbb\xbf{}", b"{} {}", b"\0", b"{}", b"<html>", b"NaN"],
    ids=lambda body: repr(body[:10]),
)
def test_a_body_that_is_no_object_of_a_manifest_is_refused(refused: Refused, body: bytes) -> None:
    assert refusal(refused(body, OCI_IMAGE)) == INVALID


@pytest.mark.parametrize(
    ("own", "told"),
    [(OCI_IMAGE, DOCKER_IMAGE), (DOCKER_IMAGE, OCI_IMAGE), (OCI_IMAGE, OCI_INDEX), (OCI_INDEX, DOCKER_LIST),
     (LAYER, OCI_IMAGE)],
)  # fmt: skip
def test_a_type_in_the_body_that_is_not_that_of_the_header_is_refused(refused: Refused, own: str, told: str) -> None:
    make = documents.index if own in {OCI_INDEX, DOCKER_LIST} else documents.image
    assert refusal(refused(make(mediaType=own), told)) == INVALID


@pytest.mark.parametrize("own", [OCI_IMAGE, OCI_INDEX, None])
@pytest.mark.parametrize("told", [OCI_IMAGE, OCI_INDEX, ""])
def test_a_manifest_with_layers_and_manifests_is_refused(refused: Refused, own: str | None, told: str) -> None:
    both = json.loads(documents.image(mediaType=own)) | {"manifests": []}
    assert refusal(refused(encoded(both), told)) == INVALID


@pytest.mark.parametrize(
    "body", [documents.image(mediaType=None), documents.index(mediaType=None)], ids=["image", "index"]
)
def test_a_body_of_another_shape_than_its_type_is_refused(refused: Refused, body: bytes) -> None:
    other = OCI_IMAGE if b"manifests" in body else OCI_INDEX
    assert refusal(refused(body, other)) == INVALID


@pytest.mark.parametrize(
    "told", ["text/plain", "application/vnd.oci.image.config.v1+json", LAYER, "x", "application/xml"]
)
def test_a_type_that_is_no_manifests_is_refused(refused: Refused, told: str) -> None:
    assert refusal(refused(documents.image(mediaType=None), told)) == INVALID


@pytest.mark.parametrize("told", [SCHEMA_1, SIGNED, "application/json", ""])
def test_schema_1_is_refused(refused: Refused, told: str) -> None:
    body = {"schemaVersion": 1, "name": "a/b", "tag": "1", "architecture": "amd64", "fsLayers": [], "history": []}
    answer = refused(encoded(body | ({"mediaType": told} if "v1" in told else {})), told)
    assert refusal(answer) == INVALID


@pytest.mark.parametrize("version", [0, 1, 3, "2", 2.5, None, True, [2]])
def test_another_schema_version_than_2_is_refused(refused: Refused, version: object) -> None:
    body = json.loads(documents.image()) | {"schemaVersion": version}
    assert refusal(refused(encoded(body))) == INVALID


def test_the_same_bytes_cannot_become_another_type(repository: Repository) -> None:
    body = documents.image(mediaType=None, annotations={"told": "in the header"})
    repository.put(body, "1", OCI_IMAGE)
    assert refusal(repository.put(body, "2", DOCKER_IMAGE)) == INVALID
    assert repository.get("1").headers["Content-Type"] == OCI_IMAGE
    assert repository.get(digest(body)).headers["Content-Type"] == OCI_IMAGE
    assert repository.tags() == ["1", "kept"]


def missing(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 400
    errors = listed(answer)
    assert {each["code"] for each in errors} == {"MANIFEST_BLOB_UNKNOWN"}
    return sorted(each["detail"]["digest"] for each in errors)


def test_every_missing_layer_is_named(repository: Repository, refused: Refused) -> None:
    one, two = noise(), noise()
    assert missing(refused(documents.image(one, two, one))) == sorted([digest(one), digest(two)])


def test_a_missing_config_is_named(refused: Refused) -> None:
    config = documents.config()
    assert missing(refused(documents.image(config=config))) == [digest(config)]


def test_a_missing_child_of_an_index_is_named(refused: Refused) -> None:
    child = documents.image(annotations={"never": "pushed"})
    assert missing(refused(documents.index(documents.image(), child))) == [digest(child)]


def test_what_only_another_repository_holds_is_missing(repository: Repository, elsewhere: Repository) -> None:
    layer = noise()
    pushed = elsewhere.image(layer, tag="1")
    assert missing(repository.put(documents.image(layer), "1")) == [digest(layer)]
    child = elsewhere.pushed[pushed]
    assert missing(repository.put(documents.index(child), "1")) == [pushed]


def test_a_blob_is_no_child_of_an_index_by_being_called_a_manifest(repository: Repository) -> None:
    layer = noise()
    repository.blob(layer)
    index = documents.index(manifests=[descriptor(layer, OCI_IMAGE)])
    assert missing(repository.put(index, "1")) == [digest(layer)]


def test_embedded_data_does_not_make_up_for_a_missing_blob(refused: Refused) -> None:
    body = documents.image(layers=[descriptor(b"hello", LAYER) | {"data": "aGVsbG8="}])
    assert missing(refused(body)) == [digest(b"hello")]


@pytest.fixture
def layer(repository: Repository) -> bytes:
    data = noise()
    repository.blob(data)
    return data


def described(layer: bytes, **members: Any) -> bytes:
    """A manifest with one layer, whose descriptor says something else of it; a member of None is left out."""
    told = {key: value for key, value in (descriptor(layer, LAYER) | members).items() if value is not None}
    return documents.image(layers=[told])


@pytest.mark.parametrize("size", [1, 2001, 0, -1, 2**63, 2**64, 2000.5, "2000", [2000], True], ids=repr)
def test_a_size_that_is_not_the_blobs_is_refused(repository: Repository, layer: bytes, size: object) -> None:
    answer = repository.put(described(layer, size=size), "1")
    assert answer.status_code == 400
    assert refusal(answer)[1] in {"MANIFEST_INVALID", "SIZE_INVALID"}
    assert repository.tags() == ["kept"]


@pytest.mark.parametrize("wrong", ["", "x", "sha256:x", "md5:" + "0" * 32, "sha256:" + "A" * 64, 7, [], None, {"a": 1}])
def test_a_descriptor_needs_a_digest(refused: Refused, wrong: object) -> None:
    assert refusal(refused(described(b"x", digest=wrong))) == INVALID


@pytest.mark.parametrize("wrong", [{}, "x", 7, [["x"]], [7], [None], {"0": {}}], ids=repr)
@pytest.mark.parametrize("member", ["layers", "manifests"])
def test_descriptors_come_in_a_list(refused: Refused, member: str, wrong: object) -> None:
    body = documents.image() if member == "layers" else documents.index()
    assert refusal(refused(encoded(json.loads(body) | {member: wrong}))) == INVALID


@pytest.mark.parametrize("config", [None, "x", 7, [], [{}], {}], ids=repr)
def test_an_image_needs_a_config(refused: Refused, config: object) -> None:
    body = json.loads(documents.image()) | {"config": config}
    assert refusal(refused(encoded(body))) == INVALID


@pytest.mark.parametrize("subject", ["x", 7, [], {}, {"digest": "x"}, {"digest": 7}, True], ids=repr)
@pytest.mark.parametrize("make", [documents.image, documents.index])
def test_a_subject_is_a_descriptor(refused: Refused, make: Callable[..., bytes], subject: object) -> None:
    assert refusal(refused(make(subject=subject))) == INVALID


@pytest.mark.parametrize("annotations", ["x", 7, [], {"a": 1}, {"a": None}, {"a": {}}], ids=repr)
def test_annotations_are_texts(refused: Refused, annotations: object) -> None:
    assert refusal(refused(documents.image(annotations=annotations))) == INVALID


@pytest.mark.parametrize("kind", [7, [], {"a": 1}, "x" * 5000], ids=lambda kind: repr(kind)[:10])
def test_an_artifact_type_is_a_short_text(refused: Refused, kind: object) -> None:
    assert refusal(refused(documents.image(artifactType=kind))) == INVALID


NESTED: Final = b"[" * 100_000 + b"]" * 100_000
MONSTERS: Final = {
    "a nested list": documents.image()[:-1] + b',"x":' + NESTED + b"}",
    "a nested object": documents.image()[:-1] + b',"x":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}",
    "a million numbers": b"[" + b",".join([b"0"] * 1_000_000) + b"]",
    "a million layers": documents.image()[:-2] + b",".join([b"0"] * 1_000_000) + b"]}",
    "a number without end": b'{"schemaVersion":2,"x":' + b"9" * 1_000_000 + b"}",
    "the same member twice": documents.image()[:-1] + b',"layers":[]}',
}


@pytest.mark.parametrize("body", MONSTERS.values(), ids=MONSTERS)
def test_a_monster_is_refused_at_once(refused: Refused, body: bytes) -> None:
    begun = time.monotonic()
    assert refusal(refused(body, OCI_IMAGE)) == INVALID
    assert time.monotonic() - begun < 5


def test_more_than_two_thousand_descriptors_are_refused(repository: Repository, layer: bytes) -> None:
    listed_layer = descriptor(layer, LAYER)
    too_many = documents.image(layers=[listed_layer] * 2001)
    assert refusal(repository.put(too_many, "1")) == INVALID
    assert refusal(repository.put(documents.index(manifests=[listed_layer] * 2001), "1")) == INVALID
    assert repository.tags() == ["kept"]
    assert repository.put(documents.image(layers=[listed_layer] * 1990), "1").status_code == 201


@pytest.mark.parametrize(
    "text",
    ["\x1b[31mred\r\nforged: line", "<script>alert(1)</script>", "' OR 1=1 --", "%s%n", "\u202e\u0000", "💥" * 50],
)
def test_strange_texts_are_kept_and_do_no_harm(repository: Repository, text: str) -> None:
    body = documents.image(annotations={text: text}, subject=documents.pointer(documents.image()), artifactType="a/b")
    assert repository.put(body, "1").status_code == 201
    assert repository.get("1").content == body
    (found,) = [each for each in repository.referrers(digest(documents.image())) if each["digest"] == digest(body)]
    assert found["annotations"] == {text: text}
