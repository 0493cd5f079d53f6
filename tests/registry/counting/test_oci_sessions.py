"""Uploads that two requests end at once: whatever comes of it, bytes that were promised stay."""

from __future__ import annotations

from functools import partial

import pytest

from pier_registry import errors
from pier_registry.actions.registry import Registry
from tests.registry.counting import oci_truth, passing, truth
from tests.registry.counting.crashing import Meanwhile, fused
from tests.registry.counting.oci_images import blob
from tests.registry.counting.oci_pushing import Client

NAME = "team/app"
DATA = blob("data")


@pytest.fixture
def alice(registry: Registry) -> Client:
    return Client(registry)


@pytest.fixture
def session(alice: Client) -> str:
    """With all bytes in it."""
    uuid = alice.begins(NAME)
    alice.appends(NAME, uuid, DATA)
    return uuid


def interrupted(registry: Registry, at: str, act: partial[None]) -> Client:
    """Alice, in whose next request something else happens."""
    return Client(fused(registry, Meanwhile(at=at, act=act)))


def test_a_cancel_that_comes_too_late_removes_nothing(registry: Registry, alice: Client, session: str) -> None:
    late = interrupted(registry, "before a transaction", partial(alice.finishes, NAME, session, DATA))
    with pytest.raises(errors.UploadUnknown):
        late.cancels(NAME, session)
    assert alice.reads_blob(NAME, DATA) == DATA
    oci_truth.holds(registry)


def test_a_cancel_just_before_the_blob_is_counted_wins(registry: Registry, alice: Client, session: str) -> None:
    late = interrupted(registry, "after a file was published", partial(alice.cancels, NAME, session))
    with pytest.raises(errors.UploadUnknown):
        late.finishes(NAME, session, DATA)
    assert truth.files(registry) == truth.files(registry, "uploads") == {}
    oci_truth.is_at_rest(registry)


def test_of_two_cancels_one_succeeds(registry: Registry, alice: Client, session: str) -> None:
    late = interrupted(registry, "before a transaction", partial(alice.cancels, NAME, session))
    with pytest.raises(errors.UploadUnknown):
        late.cancels(NAME, session)
    assert truth.files(registry, "uploads") == {}
    oci_truth.is_at_rest(registry)


def test_a_last_request_that_is_sent_again_meanwhile_does_no_harm(
    registry: Registry, alice: Client, session: str
) -> None:
    """As a client does that heard nothing for too long: its first request has moved the file when the second comes."""

    def again() -> None:
        with pytest.raises((errors.UploadBusy, errors.UploadUnknown)):
            alice.finishes(NAME, session, DATA)

    first = interrupted(registry, "after a file was published", partial(again))
    try:
        first.finishes(NAME, session, DATA)
    except errors.UploadUnknown:
        assert not alice.asks(NAME, DATA)
    else:
        assert alice.reads_blob(NAME, DATA) == DATA
    oci_truth.holds(registry)
    passing.everything(registry)
    oci_truth.is_at_rest(registry)


def test_an_upload_that_runs_out_while_it_ends_is_gone_or_whole(
    registry: Registry, alice: Client, session: str
) -> None:
    late = interrupted(registry, "after a file was published", partial(passing.everything, registry))
    with pytest.raises(errors.UploadUnknown):
        late.finishes(NAME, session, DATA)
    oci_truth.is_at_rest(registry)


def test_the_same_bytes_of_two_uploads_at_once_are_kept_once(registry: Registry, alice: Client, session: str) -> None:
    bob = Client(registry, "bob")
    late = interrupted(registry, "after a file was published", partial(bob.sends, NAME, DATA))
    late.finishes(NAME, session, DATA)
    assert len(truth.files(registry)) == 1
    assert (alice.reads_blob(NAME, DATA), bob.reads_blob(NAME, DATA)) == (DATA, DATA)
    oci_truth.holds(registry)
