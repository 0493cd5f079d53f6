"""Contract: publishing, reading, listing and removing."""

from __future__ import annotations

import time

import pytest

from pier_registry.names import Digest, layer_path, upload_path
from pier_registry.storage.base import Storage
from tests.registry.storage.bodies import sha256, whole

ONE, TWO = "11111111-0000-4000-8000-000000000001", "22222222-0000-4000-8000-000000000002"


def keep(store: Storage, data: bytes, upload: str = ONE) -> str:
    told = store.receive(whole(data), upload, prefix=b"\n", announced=len(data))
    return store.publish(upload, told.digest)


def content(store: Storage, path: str) -> bytes:
    with store.open(path) as file:
        return file.read()


def test_a_published_layer_lies_at_its_path_and_no_longer_among_uploads(store: Storage) -> None:
    path = keep(store, b"layer")
    assert path == layer_path(sha256(b"layer"), ONE)
    assert (content(store, path), list(store.uploads())) == (b"layer", [])


def test_publishing_again_is_harmless(store: Storage) -> None:
    path = keep(store, b"layer")
    assert store.publish(ONE, sha256(b"layer")) == path
    assert content(store, path) == b"layer"


def test_publishing_what_was_never_received_says_so(store: Storage) -> None:
    with pytest.raises(FileNotFoundError):
        store.publish(ONE, sha256(b"layer"))


def test_a_layer_may_be_named_by_sha512(store: Storage) -> None:
    digest = Digest("sha512", "ab" * 64)
    store.receive(whole(b"layer"), ONE, prefix=b"\n", announced=5)
    assert content(store, store.publish(ONE, digest)) == b"layer"


def test_two_uploads_of_the_same_bytes_are_two_files(store: Storage) -> None:
    first, second = keep(store, b"layer", ONE), keep(store, b"layer", TWO)
    store.remove(first)
    assert (store.size(first), content(store, second)) == (None, b"layer")


def test_removing_tells_the_bytes_freed(store: Storage) -> None:
    path = keep(store, b"layer")
    assert store.remove(path) == 5
    assert store.size(path) is None


def test_removing_what_is_gone_frees_nothing(store: Storage) -> None:
    path = keep(store, b"layer")
    store.remove(path)
    assert store.remove(path) == 0
    assert store.remove(layer_path(sha256(b"never seen"), ONE)) == 0


def test_an_upload_is_removed_like_a_layer(store: Storage) -> None:
    store.receive(whole(b"bytes"), ONE, prefix=b"\n", announced=5)
    assert store.remove(upload_path(ONE)) == 5
    assert list(store.uploads()) == []


def test_size_is_that_of_the_file_or_none(store: Storage) -> None:
    assert store.size(keep(store, b"layer")) == 5
    assert store.size(layer_path(sha256(b"never seen"), ONE)) is None


def test_opening_what_is_not_there_raises_file_not_found(store: Storage) -> None:
    with pytest.raises(FileNotFoundError):
        store.open(layer_path(sha256(b"never seen"), ONE))


def test_a_layer_removed_while_it_is_read_is_read_to_its_end(store: Storage) -> None:
    path = keep(store, b"layer")
    with store.open(path) as file:
        store.remove(path)
        assert file.read() == b"layer"


def test_listings_tell_path_size_and_time_of_every_file(store: Storage) -> None:
    path = keep(store, b"layer", ONE)
    store.receive(whole(b"bytes+"), TWO, prefix=b"\n", announced=6)
    (layer,), (upload,) = store.layers(), store.uploads()
    assert (layer.path, layer.size, upload.path, upload.size) == (path, 5, upload_path(TWO), 6)
    assert abs(layer.modified - time.time()) < 60


def test_a_new_store_lists_nothing(store: Storage) -> None:
    assert (list(store.layers()), list(store.uploads())) == ([], [])


def test_a_listing_bears_removals_while_it_runs(store: Storage) -> None:
    paths = {keep(store, bytes([n]), f"{n:08x}-0000-4000-8000-000000000000") for n in range(50)}
    for file in store.layers():
        for path in paths:
            store.remove(path)
        assert file.path in paths
    assert list(store.layers()) == []


@pytest.mark.parametrize(
    "path",
    [
        "",
        "layers",
        "uploads/",
        "/etc/passwd",
        "users.htpasswd",
        "uploads/../users.htpasswd",
        "layers/./x",
        "uploads/..",
    ],
)
def test_a_path_outside_the_two_areas_is_refused(store: Storage, path: str) -> None:
    for act in (store.open, store.size, store.remove):
        with pytest.raises(ValueError, match="is not a path of this store"):
            act(path)


@pytest.mark.parametrize("upload", ["", "..", "../x", "a/b"])
def test_an_upload_name_that_is_a_path_is_refused(store: Storage, upload: str) -> None:
    with pytest.raises(ValueError, match="is not a path of this store"):
        store.receive(whole(b"bytes"), upload, prefix=b"\n", announced=5)
    with pytest.raises(ValueError, match="is not a path of this store"):
        store.publish(upload, sha256(b"bytes"))


def test_free_space_is_told_in_bytes(store: Storage) -> None:
    assert store.free() > 1 << 20
