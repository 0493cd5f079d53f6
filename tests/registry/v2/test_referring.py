"""Signatures, statements and whatever else is about a manifest: found by it, and gone with it."""

from __future__ import annotations

import re
from typing import Any, Final

import httpx
import pytest

from tests.parts.registry import Running
from tests.registry.v2 import documents, places
from tests.registry.v2.answers import files, refusal
from tests.registry.v2.documents import EMPTY, EMPTY_TYPE, OCI_CONFIG, OCI_IMAGE, OCI_INDEX, digest, noise
from tests.registry.v2.pushing import Repository

pytestmark = places.everywhere

SIGNATURE: Final = "application/vnd.example.signature.v1+json"
STATEMENT: Final = "application/vnd.example.statement"
UNKNOWN: Final = digest(b"of nothing")


@pytest.fixture
def repository(admin: httpx.Client, name: str) -> Repository:
    """With the empty blob in it."""
    made = Repository(admin, name)
    made.blob(EMPTY)
    return made


def digests(found: list[dict[str, Any]]) -> list[str]:
    return sorted(each["digest"] for each in found)


def test_an_unknown_repository_has_an_empty_list(admin: httpx.Client, name: str) -> None:
    assert Repository(admin, name).referrers(UNKNOWN) == []


@pytest.mark.parametrize("unknown", [UNKNOWN, digest(b"of nothing", "sha512")])
def test_an_unknown_manifest_has_an_empty_list(repository: Repository, unknown: str) -> None:
    repository.manifest(documents.image(), "1")
    assert repository.referrers(unknown) == []


@pytest.mark.parametrize("bad", ["sha256:x", "sha256:" + "A" * 64, "latest", "sha256", "x:y:z", "sha256%3Ax"])
def test_what_is_no_digest_is_refused(repository: Repository, bad: str) -> None:
    assert refusal(repository.http.get(repository.path(f"referrers/{bad}"))) == (400, "DIGEST_INVALID")


def test_a_referrer_may_come_before_its_subject(repository: Repository) -> None:
    subject = documents.image(annotations={"the": "subject"})
    referrer = documents.image(subject=documents.pointer(subject), artifactType=SIGNATURE)
    answer = repository.put(referrer)
    assert (answer.status_code, answer.headers["OCI-Subject"]) == (201, digest(subject))
    assert digests(repository.referrers(digest(subject))) == [digest(referrer)]
    repository.manifest(subject, "1")
    assert digests(repository.referrers(digest(subject))) == [digest(referrer)]
    repository.delete("1")
    assert repository.referrers(digest(subject)) == []


@pytest.mark.parametrize("by", ["tag", "digest"])
@pytest.mark.parametrize("make", [documents.image, documents.index], ids=["image", "index"])
def test_images_and_indexes_can_refer(repository: Repository, make: Any, by: str) -> None:
    subject = repository.image(noise(), tag="1")
    about = documents.pointer(repository.pushed[subject])
    body = make(subject=about, artifactType=STATEMENT, annotations={"org.example.key": "a value"})
    answer = repository.put(body, "2" if by == "tag" else "")
    assert (answer.status_code, answer.headers["OCI-Subject"]) == (201, subject)
    assert repository.referrers(subject) == [
        {
            "mediaType": OCI_IMAGE if make is documents.image else OCI_INDEX,
            "digest": digest(body),
            "size": len(body),
            "artifactType": STATEMENT,
            "annotations": {"org.example.key": "a value"},
        }
    ]


@pytest.mark.parametrize("config", [EMPTY, documents.config()], ids=["an empty one", "an image's"])
def test_without_an_artifact_type_the_configs_type_counts(repository: Repository, config: bytes) -> None:
    subject = repository.image(noise(), tag="1")
    repository.image(config=config, subject=documents.pointer(repository.pushed[subject]))
    (found,) = repository.referrers(subject)
    assert found["artifactType"] == (EMPTY_TYPE if config == EMPTY else OCI_CONFIG)
    assert "annotations" not in found or found["annotations"] in ({}, None)


def test_an_index_without_an_artifact_type_has_none(repository: Repository) -> None:
    subject = repository.image(noise(), tag="1")
    repository.manifest(documents.index(subject=documents.pointer(repository.pushed[subject])))
    (found,) = repository.referrers(subject)
    assert not found.get("artifactType")


def test_a_manifest_without_a_subject_refers_to_nothing(repository: Repository) -> None:
    subject = repository.image(noise(), tag="1")
    answer = repository.put(documents.image(), "2")
    assert "OCI-Subject" not in answer.headers
    assert repository.referrers(subject) == []


def test_referrers_belong_to_their_repository(repository: Repository, elsewhere: Repository) -> None:
    subject = repository.image(noise(), tag="1")
    repository.artifact(SIGNATURE, subject=subject)
    assert elsewhere.referrers(subject) == []


def test_a_referrer_of_a_sha512_subject_is_found_by_it(repository: Repository) -> None:
    subject = documents.image(annotations={"long": "digest"})
    name = digest(subject, "sha512")
    repository.put(subject, name)
    about = documents.pointer(subject) | {"digest": name}
    answer = repository.put(documents.image(subject=about, artifactType=SIGNATURE))
    assert answer.headers["OCI-Subject"] == name
    assert len(repository.referrers(name)) == 1
    assert repository.referrers(digest(subject)) == []


@pytest.fixture
def signed(repository: Repository) -> tuple[str, str, str]:
    """A subject, its signature and a statement about it."""
    subject = repository.image(noise(), tag="1")
    signature = repository.artifact(SIGNATURE, noise(), subject=subject)
    return subject, signature, repository.artifact(STATEMENT, noise(), subject=subject)


@pytest.mark.parametrize("spelt", [SIGNATURE, SIGNATURE.replace("+", "%2B"), SIGNATURE.replace("/", "%2F")])
def test_a_filter_leaves_those_of_one_type(repository: Repository, signed: tuple[str, str, str], spelt: str) -> None:
    """A plus sign comes raw from some clients and encoded from others."""
    subject, signature, _ = signed
    path = repository.path(f"referrers/{subject}")
    answer = repository.http.get(f"{path}?artifactType={spelt}")
    assert answer.headers["OCI-Filters-Applied"] == "artifactType"
    assert digests(answer.json()["manifests"]) == [signature]


def test_without_a_filter_all_are_listed(repository: Repository, signed: tuple[str, str, str]) -> None:
    subject, *referrers = signed
    answer = repository.http.get(repository.path(f"referrers/{subject}"))
    assert "OCI-Filters-Applied" not in answer.headers
    assert digests(answer.json()["manifests"]) == sorted(referrers)


@pytest.mark.parametrize("kind", ["application/vnd.other", "' OR 1=1 --", "%25", "x" * 3000])
def test_a_filter_that_nothing_passes_is_a_filter(
    repository: Repository, signed: tuple[str, str, str], kind: str
) -> None:
    for subject in (signed[0], UNKNOWN):
        answer = repository.http.get(repository.path(f"referrers/{subject}"), params={"artifactType": kind})
        assert (answer.status_code, answer.json()["manifests"]) == (200, [])
        assert answer.headers["OCI-Filters-Applied"] == "artifactType"
        assert answer.headers["Content-Type"] == OCI_INDEX


def test_many_referrers_are_listed_whole(repository: Repository) -> None:
    subject = repository.image(noise(), tag="1")
    about = documents.pointer(repository.pushed[subject])
    pushed = [repository.manifest(documents.image(subject=about, annotations={"n": str(n)})) for n in range(130)]
    found, path = [], repository.path(f"referrers/{subject}")
    while path:
        answer = repository.http.get(path)
        found += digests(answer.json()["manifests"])
        told = re.match(r"<(/v2/[^>]+)>", answer.headers.get("Link", ""))
        path = told[1] if told else ""
    assert sorted(found) == sorted(pushed)


def test_untagged_referrers_go_with_the_last_tag_of_their_subject(door: Running, repository: Repository) -> None:
    layer, first, second = noise(), noise(), noise()
    subject = repository.image(layer, tag="1")
    signature = repository.artifact(SIGNATURE, first, subject=subject)
    about_it = repository.artifact(STATEMENT, second, subject=signature)
    repository.manifest(repository.pushed[subject], "2")
    repository.delete("1")
    assert [repository.pulled(each) for each in (signature, about_it)] == [signature, about_it]
    answer = repository.delete("2")
    assert answer.headers["Pier-Pending-Bytes"] == "0"
    assert not any(map(repository.knows, (subject, signature, about_it)))
    assert files(door, digest(layer), digest(first), digest(second)) == []


def test_a_tagged_referrer_outlives_its_subject(repository: Repository) -> None:
    subject = repository.image(noise(), tag="1")
    signature = repository.artifact(SIGNATURE, noise(), subject=subject, tag=f"{subject.replace(':', '-')}.sig")
    repository.delete("1")
    assert not repository.knows(subject)
    assert repository.pulled(signature) == signature
    assert digests(repository.referrers(subject)) == [signature]


def test_a_subject_outlives_its_referrers(repository: Repository, signed: tuple[str, str, str]) -> None:
    subject, *referrers = signed
    for referrer in referrers:
        assert repository.delete(referrer).status_code == 202
    assert repository.referrers(subject) == []
    assert repository.pulled("1") == subject


def test_a_moved_tag_takes_the_old_signatures_along(repository: Repository, signed: tuple[str, str, str]) -> None:
    repository.image(noise(), tag="1")
    assert not any(map(repository.knows, signed))


def test_a_subject_deleted_by_digest_takes_its_referrers_along(
    repository: Repository, signed: tuple[str, str, str]
) -> None:
    assert repository.delete(signed[0]).status_code == 202
    assert not any(map(repository.knows, signed))


def test_a_signature_of_a_child_goes_with_the_index(repository: Repository) -> None:
    child = repository.image(noise())
    repository.index(child, tag="1")
    signature = repository.artifact(SIGNATURE, noise(), subject=child)
    assert repository.pulled(signature) == signature
    repository.delete("1")
    assert not any(map(repository.knows, (child, signature)))


def test_after_all_this_every_count_is_right(door: Running) -> None:
    places.sound(door)
