"""Contract: what `receive` tells, keeps and refuses."""

from __future__ import annotations

import gzip
from concurrent.futures import ThreadPoolExecutor

import pytest

from pier_registry.errors import SizeInvalid, TooLarge
from pier_registry.names import Digest, upload_path
from pier_registry.storage.base import Received, Storage
from tests.registry.storage import bodies
from tests.registry.storage.bodies import MIB, sha256, whole
from tests.registry.storage.conftest import Make

UPLOAD = "0d7b8f1e-5a53-4f52-9a38-6a1f0e8f3c11"
EMPTY = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def receive(store: Storage, data: bytes, upload: str = UPLOAD, prefix: bytes = b"{}\n") -> Received:
    return store.receive(whole(data), upload, prefix=prefix, announced=len(data))


def stored(store: Storage, upload: str = UPLOAD) -> bytes:
    with store.open(upload_path(upload)) as file:
        return file.read()


def test_the_received_bytes_are_what_was_sent(store: Storage) -> None:
    body = gzip.compress(bodies.tar(motd=b"hello" * 999_999))
    receive(store, body)
    assert stored(store) == body


def test_one_pass_tells_size_and_all_three_digests(store: Storage) -> None:
    tar = bodies.tar(motd=b"hello")
    body = gzip.compress(tar)
    told = receive(store, body, prefix=b'{"id":"x"}\n')
    assert told == Received(len(body), sha256(body), sha256(b'{"id":"x"}\n' + body), sha256(tar))


def test_an_empty_json_and_an_empty_layer_have_the_known_payload_checksum(store: Storage) -> None:
    told = receive(store, b"", prefix=b"\n")
    assert str(told.payload) == "sha256:01ba4719c80b6fe911b091a7c05124b64eeece964e09c058ef8f9805daca546b"
    assert (told.size, str(told.digest), told.uncompressed) == (0, EMPTY, None)


def test_without_a_prefix_the_payload_checksum_is_the_digest(store: Storage) -> None:
    assert receive(store, b"some bytes", prefix=b"").payload == sha256(b"some bytes")


def test_an_empty_tar_in_gzip_has_the_diff_id_that_docker_gives_it(store: Storage) -> None:
    told = receive(store, gzip.compress(bytes(1024)))
    assert str(told.uncompressed) == "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"


@pytest.mark.parametrize("announced", [None, 3 * MIB + 7])
def test_a_body_of_unknown_length_is_received_like_an_announced_one(store: Storage, announced: int | None) -> None:
    body = b"seven b" * ((3 * MIB + 7) // 7 + 1)
    body = body[: 3 * MIB + 7]
    told = store.receive(whole(body, 100_001), UPLOAD, prefix=b"\n", announced=announced)
    assert (told.size, told.digest, stored(store)) == (len(body), sha256(body), body)


def test_nothing_is_read_beyond_the_announced_length(store: Storage) -> None:
    source = bodies.endless()
    told = store.receive(source, UPLOAD, prefix=b"\n", announced=MIB + 1)
    assert (told.size, source.given) == (MIB + 1, MIB + 1)


@pytest.mark.parametrize("arrived", [0, 1, 5 * MIB])
def test_a_body_that_ends_early_is_refused_and_gone(store: Storage, arrived: int) -> None:
    with pytest.raises(SizeInvalid, match=f"ended after {arrived} of {6 * MIB} bytes"):
        store.receive(whole(bytes(arrived)), UPLOAD, prefix=b"\n", announced=6 * MIB)
    assert list(store.uploads()) == []


def test_a_gzip_body_that_ends_early_is_refused_and_gone(store: Storage) -> None:
    body = gzip.compress(bytes(9 * MIB))
    with pytest.raises(SizeInvalid):
        store.receive(whole(body[:-9]), UPLOAD, prefix=b"\n", announced=len(body))
    assert list(store.uploads()) == []


@pytest.mark.parametrize("error", [OSError("the client went away"), KeyboardInterrupt(), SystemExit(1)])
@pytest.mark.parametrize("start", [bytes(2 * MIB), gzip.compress(bytes(99 * MIB))])
def test_a_client_that_goes_away_leaves_nothing(store: Storage, start: bytes, error: BaseException) -> None:
    with pytest.raises(type(error)):
        store.receive(bodies.broken(start, error), UPLOAD, prefix=b"\n", announced=None)
    assert list(store.uploads()) == []


def test_an_endless_body_stops_at_the_largest_layer(make_store: Make) -> None:
    store, source = make_store(max_layer=3 * MIB), bodies.endless()
    with pytest.raises(TooLarge, match="PIER_MAX_LAYER"):
        store.receive(source, UPLOAD, prefix=b"\n", announced=None)
    assert (source.given, list(store.uploads())) == (3 * MIB + 1, [])


def test_a_body_announced_beyond_the_largest_layer_is_refused_unread(make_store: Make) -> None:
    store, source = make_store(max_layer=3 * MIB), bodies.endless()
    with pytest.raises(TooLarge):
        store.receive(source, UPLOAD, prefix=b"\n", announced=3 * MIB + 1)
    assert source.given == 0


@pytest.mark.parametrize("announced", [None, 3 * MIB])
def test_a_body_of_exactly_the_largest_layer_is_taken(make_store: Make, announced: int | None) -> None:
    told = make_store(max_layer=3 * MIB).receive(whole(bytes(3 * MIB)), UPLOAD, prefix=b"\n", announced=announced)
    assert told.size == 3 * MIB


def test_a_repeated_upload_replaces_the_first(store: Storage) -> None:
    receive(store, b"first and longer")
    receive(store, b"second")
    assert stored(store) == b"second"


def test_a_failed_repeat_leaves_the_complete_first(store: Storage) -> None:
    receive(store, b"first")
    with pytest.raises(OSError, match="gone"):
        store.receive(bodies.broken(b"sec", OSError("gone")), UPLOAD, prefix=b"\n", announced=None)
    assert [file.path for file in store.uploads()] == [upload_path(UPLOAD)]
    assert stored(store) == b"first"


def test_parallel_uploads_under_one_name_never_mix(store: Storage) -> None:
    sent = [gzip.compress(bytes([n]) * 300_000, mtime=n) * 20 for n in range(8)]
    with ThreadPoolExecutor(8) as clients:
        told = list(
            clients.map(lambda body: store.receive(whole(body, 999), UPLOAD, prefix=b"\n", announced=None), sent)
        )
    assert [one.digest for one in told] == [sha256(body) for body in sent]
    assert stored(store) in sent
    assert len(list(store.uploads())) == 1


def test_a_damaged_layer_is_stored_all_the_same(store: Storage) -> None:
    body = gzip.compress(bytes(99_999))[:-5]
    told = receive(store, body)
    assert (told.digest, told.uncompressed, stored(store)) == (sha256(body), None, body)


def test_a_digest_told_is_a_digest(store: Storage) -> None:
    told = receive(store, b"bytes")
    assert Digest.parse(str(told.digest)) == told.digest
