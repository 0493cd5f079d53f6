"""Names of repositories, tags and digests: what fits the grammar goes through whole, everything else is refused."""

from __future__ import annotations

import httpx
import pytest

from tests.parts.registry import Running
from tests.registry.protocol.doors import Raw, basic
from tests.registry.v2 import documents
from tests.registry.v2.answers import SPEC_CODES, files, listed, parts, refusal
from tests.registry.v2.documents import OCI_IMAGE, digest, noise
from tests.registry.v2.pushing import Repository

GOOD = ["a", "0", "a/b/c/d", "a/manifests/b", "a/blobs/uploads/x", "a/tags/list", "a/referrers/b", "a/manifests",
        "a/blobs/uploads", "a__b", "a--b", "a.b-c_d/e---f", "blobs", "manifests/x", "tags/list", "tags", "uploads",
        "v2", "v2/v2", "catalog", "images", "x/" + "y" * 198, "/".join("abcdefghij" * 5)]  # fmt: skip
BAD = ["A", "a/B", "a..b", "-a", "a-", ".a", "a.", "_a", "a___b", "a._b", "a%0A", "a%20b", "a+b", "a%3Ab",
       "%C3%A9", "%FF", "a@b", "a,b", "a~b", "x/" + "y" * 199, "y" * 256, "y" * 3000]  # fmt: skip
TRICKS = ["a/../b", "a//b", "./a", "a/.", "a/", "/a", "a/%2e%2e/b", "%2e%2e", "a%2f%2fb", "a%252fb", "a%5cb", "a\\b",
          "..;/a", "a;x", "a%23b", "a/%2e/b", "a%00", "a%00/b"]  # fmt: skip
UNKNOWN_ALGORITHMS = ["md5:" + "0" * 32, "sha1:" + "0" * 40, "sha384:" + "0" * 96, "multihash+base58:Qm123"]
MALFORMED = ["sha256:" + "A" * 64, "sha256:" + "0" * 63, "sha256:" + "0" * 65, "sha256:" + "g" * 64, "sha256:",
             "sha512:" + "0" * 64, "sha256:" + "0" * 64 + "%0A", "sha256:" + "0" * 63 + "%00"]  # fmt: skip


@pytest.mark.parametrize("name", GOOD, ids=lambda name: name[:20])
def test_a_good_name_works_at_every_address(admin: httpx.Client, name: str) -> None:
    repository = Repository(admin, name)
    layer = noise()
    pushed = repository.image(layer, tag="1")
    assert repository.pulled("1") == repository.pulled(pushed) == pushed
    assert repository.read(digest(layer)).content == layer
    assert repository.tags() == ["1"]
    assert repository.referrers(pushed) == []
    assert repository.delete("1").status_code == 202
    assert repository.tags() == []


def requests(name: str) -> list[tuple[str, str]]:
    unknown = digest(b"unknown")
    return [
        ("GET", f"/v2/{name}/tags/list"),
        ("GET", f"/v2/{name}/manifests/1"),
        ("PUT", f"/v2/{name}/manifests/1"),
        ("DELETE", f"/v2/{name}/manifests/1"),
        ("GET", f"/v2/{name}/blobs/{unknown}"),
        ("DELETE", f"/v2/{name}/blobs/{unknown}"),
        ("POST", f"/v2/{name}/blobs/uploads/"),
        ("GET", f"/v2/{name}/referrers/{unknown}"),
    ]


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("name", BAD, ids=lambda name: name[:20])
def test_a_bad_name_is_refused_at_every_address(admin: httpx.Client, name: str) -> None:
    for method, path in requests(name):
        body = documents.image() if method == "PUT" else b""
        answer = admin.request(method, path, content=body, headers={"Content-Type": OCI_IMAGE})
        assert refusal(answer) == (400, "NAME_INVALID"), (method, path)


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("name", TRICKS)
def test_a_path_that_could_be_read_twofold_is_refused(door: Running, name: str) -> None:
    """Said byte by byte: an http client would tidy it up."""
    for method, path in requests(name):
        with Raw(door) as wire:
            answer = wire.ask(f"{method} {path}", basic(door), "Content-Length: 0\r\n")
        assert answer.status in {400, 404}, (method, path)
        assert answer.json()["errors"], (method, path)


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("target", ["//v2/", "/v2/./", "/V2/", "/v2/..;/", "/v2//", "/./v2/", "/%76%32/../v1/"])
def test_only_the_plain_path_leads_to_v2(door: Running, target: str) -> None:
    with Raw(door) as wire:
        answer = wire.ask(f"GET {target}", basic(door))
    assert answer.status in {400, 404}


def test_the_absolute_form_of_an_address_is_the_same_address(door: Running) -> None:
    with Raw(door) as wire:
        assert wire.ask("GET https://localhost/v2/", basic(door)).json() == {}
        assert wire.ask("GET https://localhost/v2/").status == 401


@pytest.mark.parametrize("host", ["evil.example", "evil.example:1", "localhost", "[::1]:5"])
def test_no_answer_points_to_another_host(door: Running, name: str, host: str) -> None:
    with Raw(door) as wire:
        wire.say(f"POST /v2/{name}/blobs/uploads/ HTTP/1.1\r\nHost: {host}\r\n", basic(door))
        wire.say("X-Forwarded-Host: evil.example\r\nX-Forwarded-Proto: http\r\nContent-Length: 0\r\n\r\n")
        answer = wire.answer("POST")
    assert answer.status == 202
    assert answer.headers["location"].startswith(f"/v2/{name}/blobs/uploads/")


def test_a_name_of_one_part_is_in_library_and_answers_spell_it_as_asked(admin: httpx.Client, name: str) -> None:
    short = name.replace("/", "-")
    plain, long = Repository(admin, short), Repository(admin, f"library/{short}")
    body = documents.image()
    for repository in (plain, long):
        repository.blob(documents.EMPTY)
        assert repository.begin().startswith(f"/v2/{repository.name}/blobs/uploads/")
    answer = plain.put(body, "1")
    assert answer.headers["Location"] == f"/v2/{short}/manifests/{digest(body)}"
    assert long.pulled("1") == digest(body)
    assert long.put(body, "2").headers["Location"] == f"/v2/library/{short}/manifests/{digest(body)}"
    assert plain.tags() == long.tags() == ["1", "2"]
    for repository in (plain, long):
        answer = admin.get(repository.path("tags/list?n=1"))
        assert answer.headers["Link"].startswith(f"</v2/{repository.name}/tags/list?")
    assert long.delete("1").status_code == plain.delete("2").status_code == 202
    assert plain.tags() == []


@pytest.mark.parametrize("tag", ["a", "_", "0", "A.b-c_", "x" * 128, "sha256-" + "0" * 64 + ".sig"])
def test_a_good_tag_works(repository: Repository, tag: str) -> None:
    pushed = repository.image(noise(), tag=tag)
    assert repository.pulled(tag) == pushed
    assert repository.tags() == [tag]
    assert repository.delete(tag).status_code == 202


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("tag", [".a", "-a", "x" * 129, "a%20", "%20a", "a%0A", "%C3%A9", "a+b", "a%25"])
def test_a_bad_tag_is_refused(repository: Repository, tag: str) -> None:
    assert refusal(repository.put(documents.image(), tag)) == (400, "TAG_INVALID")
    for answer in (repository.get(tag), repository.delete(tag)):
        assert answer.status_code in {400, 404}
    assert repository.head(tag).status_code in {400, 404}


def test_what_reads_a_bad_tag_gets_a_code_of_the_specification(repository: Repository) -> None:
    assert listed(repository.get(".INVALID_MANIFEST_NAME"))[0]["code"] in SPEC_CODES


@pytest.mark.usefixtures("unchanged")
def test_a_tag_with_a_zero_in_it_is_refused_by_whoever_sees_it_first(repository: Repository) -> None:
    refused = repository.put(documents.image(), "a%00")
    assert refused.status_code == 400
    assert listed(refused)
    for answer in (repository.get("a%00"), repository.delete("a%00")):
        assert answer.status_code in {400, 404}


@pytest.mark.usefixtures("unchanged")
def test_an_empty_reference_is_no_reference(repository: Repository) -> None:
    for method in ("GET", "PUT", "DELETE"):
        answer = repository.http.request(method, repository.path("manifests/"), content=documents.image())
        assert answer.status_code in {400, 404, 405}


@pytest.mark.parametrize("colon", ["%3A", "%3a", ":"])
def test_the_colon_of_a_digest_may_be_encoded(repository: Repository, colon: str) -> None:
    layer = noise()
    pushed = repository.image(layer, tag="1")
    assert repository.read(digest(layer).replace(":", colon)).content == layer
    assert repository.pulled(pushed.replace(":", colon)) == pushed
    assert repository.http.get(repository.path(f"referrers/{pushed.replace(':', colon)}")).status_code == 200
    place, data = repository.begin(), noise()
    answer = repository.http.put(f"{place}?digest={digest(data).replace(':', colon)}", content=data)
    assert answer.status_code == 201


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("name", UNKNOWN_ALGORITHMS + MALFORMED, ids=lambda name: name[:12] + name[-6:])
def test_what_is_no_digest_here_names_nothing(admin: httpx.Client, name: str) -> None:
    repository = Repository(admin, "nothing/here")
    for answer in (repository.read(name), repository.delete_blob(name), repository.get(name), repository.delete(name)):
        assert answer.status_code in {400, 404}
    assert repository.ask(name).status_code in {400, 404}
    assert refusal(repository.http.put(repository.path(f"manifests/{name}"), content=documents.image()))[0] == 400
    if name in MALFORMED and "%" not in name:
        assert refusal(admin.get(repository.path(f"referrers/{name}"))) == (400, "DIGEST_INVALID")


@pytest.mark.parametrize("wrong", UNKNOWN_ALGORITHMS + MALFORMED, ids=lambda wrong: wrong[:12] + wrong[-6:])
def test_an_upload_cannot_be_finished_under_what_is_no_digest(repository: Repository, wrong: str) -> None:
    place, data = repository.begin(), noise()
    repository.append(place, data)
    assert refusal(repository.http.put(f"{place}?digest={wrong}")) == (400, "DIGEST_INVALID")
    assert repository.finish(place, digest(data)).status_code == 201


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("name", ["sha256:../../x", "sha256:..%2f..%2fx", "sha256:%2e%2e/x", "sha256:/etc/passwd"])
def test_a_digest_is_never_a_path(door: Running, name: str) -> None:
    lines = [f"{method} /v2/a/b/{kind}/{name}" for method in ("GET", "PUT") for kind in ("blobs", "manifests")]
    lines += [f"POST /v2/a/b/blobs/uploads/?{query}={name}&from=a/b" for query in ("digest", "mount")]
    for line in lines:
        with Raw(door) as wire:
            answer = wire.ask(line, basic(door), "Content-Length: 0\r\n")
        assert answer.status in {400, 404, 405}, line


def test_an_upload_is_only_known_by_the_name_it_was_given(door: Running, repository: Repository) -> None:
    place = repository.begin()
    known = parts(door)
    for name in ("x", "00000000-0000-0000-0000-000000000000", place.rpartition("/")[2].upper() + "x", "..%2fpier"):
        path = repository.path(f"blobs/uploads/{name}")
        for answer in (
            repository.http.get(path),
            repository.http.patch(path, content=b"x"),
            repository.http.delete(path),
        ):
            assert answer.status_code in {400, 404}, name
    assert parts(door) == known
    assert files(door, digest(b"x")) == []
