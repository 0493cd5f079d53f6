"""A blob goes up in one request or in many; the registry always knows how much it has."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import httpx
import pytest

from tests.parts.registry import Running
from tests.registry.protocol.doors import Raw, basic
from tests.registry.v2.answers import connect, connect_as, files, parts, refusal
from tests.registry.v2.documents import digest, noise
from tests.registry.v2.pushing import Repository


def progress(answer: httpx.Response) -> tuple[int, str]:
    """Status and how far it is, of an answer that must also say where to go on."""
    name = answer.headers["Docker-Upload-UUID"]
    assert answer.headers["Location"].endswith(f"/blobs/uploads/{name}"), answer.headers["Location"]
    assert uuid.UUID(name)
    return answer.status_code, answer.headers["Range"]


def uploaded(answer: httpx.Response, repository: Repository, data: bytes) -> bool:
    """Whether an answer says that the blob is there, in every way that it must."""
    return (
        answer.status_code == 201
        and answer.headers["Location"] == repository.path(f"blobs/{digest(data)}")
        and answer.headers["Docker-Content-Digest"] == digest(data)
        and answer.headers["Content-Length"] == "0"
    )


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


@pytest.mark.parametrize("slash", ["/", ""])
def test_an_upload_begins_with_a_place_that_is_a_path(repository: Repository, slash: str) -> None:
    answer = repository.http.post(repository.path(f"blobs/uploads{slash}"))
    assert progress(answer) == (202, "0-0")
    assert answer.headers["Location"].startswith(repository.path("blobs/uploads/"))
    assert answer.headers["Content-Length"] == "0"
    assert "OCI-Chunk-Min-Length" not in answer.headers


def test_a_stream_of_odd_chunks_arrives_whole(door: Running, repository: Repository) -> None:
    data, sizes = noise(150_000), [1, 2, 4095, 4097, 65_537, 7, 1, 30_000]
    place = repository.begin()
    with Raw(door) as wire:
        wire.say(f"PATCH {place} HTTP/1.1\r\nHost: localhost\r\n", basic(door), "Transfer-Encoding: chunked\r\n\r\n")
        at = 0
        for size in (*sizes, len(data) - sum(sizes)):
            wire.say(chunk(data[at : at + size]))
            at += size
        wire.say("0\r\n\r\n")
        answer = wire.answer("PATCH")
    assert (answer.status, answer.headers["range"], answer.headers["content-length"]) == (202, "0-149999", "0")
    assert answer.headers["docker-upload-uuid"] in answer.headers["location"]
    assert uploaded(repository.finish(answer.headers["location"], digest(data)), repository, data)
    assert repository.read(digest(data)).content == data


def test_every_process_knows_of_a_blob_as_soon_as_one_said_so(door: Running, repository: Repository) -> None:
    for _ in range(5):
        data = noise()
        repository.blob(data)
        for _ in range(4):
            with connect(door) as other:
                answer = repository.seen_by(other).ask(digest(data))
            assert (answer.status_code, answer.headers["Content-Length"]) == (200, str(len(data)))


def test_pieces_without_a_range_are_appended(repository: Repository) -> None:
    one, other = noise(5000), noise(3000)
    place = repository.begin()
    assert progress(repository.append(place, one)) == (202, "0-4999")
    assert progress(repository.append(place, iter([other[:10], other[10:]]))) == (202, "0-7999")
    assert uploaded(repository.finish(place, digest(one + other)), repository, one + other)
    assert repository.read(digest(one + other)).content == one + other


def test_a_piece_sent_twice_is_told_where_to_go_on(repository: Repository) -> None:
    data = noise(30)
    place = repository.begin()
    assert progress(repository.append(place, data[:10], "0-9")) == (202, "0-9")
    again = repository.append(place, data[:10], "0-9")
    assert refusal(again) == (416, "RANGE_INVALID")
    assert progress(again) == (416, "0-9")
    state = repository.http.get(place)
    assert (progress(state), state.content) == ((204, "0-9"), b"")
    assert progress(repository.http.head(place)) == (204, "0-9")
    assert progress(repository.append(place, data[10:20], "10-19")) == (202, "0-19")
    assert uploaded(repository.finish(place, digest(data), data[20:], "20-29"), repository, data)


@pytest.mark.parametrize("told", ["11-20", "5-14", "20-29", "0-9"], ids=["gap", "overlap", "far", "replay"])
def test_a_piece_at_the_wrong_place_leaves_the_upload_as_it_was(repository: Repository, told: str) -> None:
    data = noise(20)
    place = repository.begin()
    repository.append(place, data[:10], "0-9")
    assert progress(repository.append(place, noise(10), told)) == (416, "0-9")
    assert progress(repository.http.get(place)) == (204, "0-9")
    repository.append(place, data[10:], "10-19")
    assert uploaded(repository.finish(place, digest(data)), repository, data)


def test_a_first_piece_that_does_not_begin_at_zero_is_refused(repository: Repository) -> None:
    place = repository.begin()
    assert progress(repository.append(place, noise(10), "10-19")) == (416, "0-0")
    assert progress(repository.http.get(place)) == (204, "0-0")


@pytest.mark.parametrize("told", ["0-8", "0-10", "0-99"])
def test_a_range_that_is_not_the_bodys_length_is_refused(repository: Repository, told: str) -> None:
    place = repository.begin()
    assert refusal(repository.append(place, noise(10), told)) == (400, "SIZE_INVALID")
    assert progress(repository.http.get(place)) == (204, "0-0")


@pytest.mark.parametrize("told", ["bytes 0-9/*", "bytes=0-9", "bytes 0-9", "0-9/10", "0-9/*", "bytes 0-9/20"])
def test_a_range_may_be_written_as_http_writes_it(repository: Repository, told: str) -> None:
    place = repository.begin()
    assert progress(repository.append(place, noise(10), told)) == (202, "0-9")


@pytest.mark.parametrize(
    "told", ["x", "-", "0-", "-9", "9-0", "0-9-9", "0 9", "bytes", "0-9,10-19", "1e1-9", "\u0660-\u0669", "0" * 999]
)
def test_a_range_that_is_none_is_refused(repository: Repository, told: str) -> None:
    place = repository.begin()
    answer = repository.http.patch(place, content=noise(10), headers=[(b"Content-Range", told.encode())])
    assert answer.status_code in {400, 416}
    assert progress(repository.http.get(place)) == (204, "0-0")


def test_a_range_beyond_all_numbers_is_refused(repository: Repository) -> None:
    place = repository.begin()
    assert repository.append(place, noise(10), f"{10**30}-{10**30 + 9}").status_code in {400, 416}
    assert progress(repository.http.get(place)) == (204, "0-0")


def test_a_last_piece_at_the_wrong_place_can_be_sent_again(repository: Repository) -> None:
    data = noise(20)
    place = repository.begin()
    repository.append(place, data[:10], "0-9")
    wrong = repository.finish(place, digest(data), data[10:], "5-14")
    assert progress(wrong) == (416, "0-9")
    assert not repository.holds(digest(data))
    assert uploaded(repository.finish(place, digest(data), data[10:], "10-19"), repository, data)


def test_a_wrong_digest_ends_the_upload(door: Running, repository: Repository) -> None:
    data, before = noise(), parts(door)
    place = repository.begin()
    repository.append(place, data)
    assert refusal(repository.finish(place, digest(b"other"))) == (400, "DIGEST_INVALID")
    assert refusal(repository.finish(place, digest(data))) == (404, "BLOB_UPLOAD_UNKNOWN")
    assert not repository.holds(digest(data))
    assert not repository.holds(digest(b"other"))
    assert parts(door) == before
    assert files(door, digest(data), digest(b"other")) == []


@pytest.mark.parametrize("query", ["", "?digest=", "?digest=sha256", "?digest=x&digest=y", "?other=1"])
def test_an_upload_without_a_digest_can_be_finished_with_one(repository: Repository, query: str) -> None:
    data = noise()
    place = repository.begin()
    repository.append(place, data)
    assert refusal(repository.http.put(f"{place}{query}")) == (400, "DIGEST_INVALID")
    assert uploaded(repository.finish(place, digest(data)), repository, data)


def test_an_upload_can_be_given_up(door: Running, repository: Repository) -> None:
    before = parts(door)
    place = repository.begin()
    repository.append(place, noise())
    answer = repository.http.delete(place)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["Docker-Upload-UUID"] in place
    assert parts(door) == before
    for again in (
        repository.http.get(place), repository.append(place, b"x"), repository.finish(place, digest(b"x"), b"x"),
        repository.http.delete(place),
    ):  # fmt: skip
        assert refusal(again) == (404, "BLOB_UPLOAD_UNKNOWN")


def test_a_finished_upload_is_no_upload_any_more(repository: Repository) -> None:
    data = noise()
    place = repository.begin()
    assert uploaded(repository.finish(place, digest(data), data), repository, data)
    assert refusal(repository.http.get(place)) == (404, "BLOB_UPLOAD_UNKNOWN")
    assert refusal(repository.finish(place, digest(data))) == (404, "BLOB_UPLOAD_UNKNOWN")


def every_step(http: httpx.Client, place: str) -> Iterator[httpx.Response]:
    yield http.get(place)
    yield http.patch(place, content=b"x")
    yield http.put(place, params={"digest": digest(b"datax")}, content=b"x")
    yield http.delete(place)


def test_an_upload_belongs_to_its_repository(repository: Repository, elsewhere: Repository) -> None:
    place = repository.begin()
    repository.append(place, b"data")
    moved = place.replace(repository.path(""), elsewhere.path(""))
    for answer in every_step(repository.http, moved):
        assert refusal(answer) == (404, "BLOB_UPLOAD_UNKNOWN")
    assert progress(repository.http.get(place)) == (204, "0-3")


def test_an_upload_belongs_to_its_user(door: Running, repository: Repository, newcomer: str) -> None:
    place = repository.begin()
    repository.append(place, b"data")
    for answer in every_step(connect_as(door, newcomer, "admin"), place):
        assert refusal(answer) == (404, "BLOB_UPLOAD_UNKNOWN")
    assert progress(repository.http.get(place)) == (204, "0-3")


def test_an_upload_may_go_on_with_another_agent_of_its_user(door: Running, repository: Repository) -> None:
    place = repository.begin()
    repository.append(place, b"data")
    with connect(door, agent="another/1") as other:
        assert progress(other.patch(place, content=b"more")) == (202, "0-7")


def test_a_blob_may_come_in_one_request(repository: Repository) -> None:
    data = noise()
    answer = repository.http.post(repository.path("blobs/uploads/"), params={"digest": digest(data)}, content=data)
    assert uploaded(answer, repository, data)
    assert repository.read(digest(data)).content == data


def test_one_request_with_a_wrong_digest_leaves_nothing(door: Running, repository: Repository) -> None:
    data, before = noise(), parts(door)
    wrong = digest(noise())
    answer = repository.http.post(repository.path("blobs/uploads/"), params={"digest": wrong}, content=data)
    assert refusal(answer) == (400, "DIGEST_INVALID")
    assert not repository.holds(wrong)
    assert not repository.holds(digest(data))
    assert parts(door) == before
    assert files(door, wrong, digest(data)) == []


@pytest.mark.parametrize("data", [b"", b"{}", b"\0"], ids=["nothing", "an empty object", "a zero"])
def test_the_smallest_blobs_are_blobs(repository: Repository, data: bytes) -> None:
    one = repository.http.post(repository.path("blobs/uploads/"), params={"digest": digest(data)}, content=data)
    assert uploaded(one, repository, data)
    assert uploaded(repository.finish(repository.begin(), digest(data), data), repository, data)
    assert repository.blob(data) == digest(data)
    answer = repository.read(digest(data))
    assert (answer.content, answer.headers["Content-Length"]) == (data, str(len(data)))
    assert repository.ask(digest(data)).headers["Content-Length"] == str(len(data))


def test_an_empty_piece_changes_nothing(repository: Repository) -> None:
    place = repository.begin()
    assert progress(repository.append(place, b"")) == (202, "0-0")
    assert progress(repository.append(place, b"data")) == (202, "0-3")
    assert progress(repository.append(place, b"")) == (202, "0-3")


def test_a_blob_may_have_a_sha512_digest_that_nobody_announced(repository: Repository) -> None:
    data = noise(70_000)
    place = repository.begin()
    repository.append(place, data[:30_000])
    repository.append(place, data[30_000:])
    name = digest(data, "sha512")
    answer = repository.finish(place, name)
    assert (answer.status_code, answer.headers["Docker-Content-Digest"]) == (201, name)
    assert answer.headers["Location"] == repository.path(f"blobs/{name}")
    assert repository.ask(name).status_code == 200
    assert repository.read(name).content == data


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_the_algorithm_may_be_announced(repository: Repository, algorithm: str) -> None:
    data = noise()
    answer = repository.http.post(repository.path("blobs/uploads/"), params={"digest-algorithm": algorithm})
    assert progress(answer) == (202, "0-0")
    repository.append(answer.headers["Location"], data)
    name = digest(data, algorithm)
    assert repository.finish(answer.headers["Location"], name).headers["Docker-Content-Digest"] == name
    assert repository.read(name).content == data


def test_an_algorithm_that_is_not_known_here_is_refused_when_it_is_announced(repository: Repository) -> None:
    answer = repository.http.post(repository.path("blobs/uploads/"), params={"digest-algorithm": "sha1"})
    assert answer.status_code == 400


def test_a_wrong_sha512_is_refused_too(repository: Repository) -> None:
    wrong = digest(b"other", "sha512")
    assert refusal(repository.finish(repository.begin(), wrong, noise())) == (400, "DIGEST_INVALID")
    assert not repository.holds(wrong)


def test_a_blob_that_is_there_can_be_sent_again(door: Running, repository: Repository) -> None:
    data = noise()
    for _ in range(3):
        repository.blob(data)
    assert len(files(door, digest(data))) == 1


@pytest.mark.parametrize(
    "kind", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain", ""]
)
def test_the_type_that_a_client_gives_a_blob_does_not_matter(repository: Repository, kind: str) -> None:
    data = b"a=1&b=2"
    place = repository.begin()
    answer = repository.http.patch(place, content=data, headers={"Content-Type": kind})
    assert progress(answer) == (202, "0-6")
    assert uploaded(repository.finish(place, digest(data)), repository, data)


def test_a_blob_makes_no_repository(repository: Repository) -> None:
    repository.blob(noise())
    answer = repository.http.get(repository.path("tags/list"))
    assert refusal(answer) == (404, "NAME_UNKNOWN")
    assert repository.name not in repository.http.get("/v2/_catalog?n=1000").json()["repositories"]
