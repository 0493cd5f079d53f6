"""Ids are chosen by clients: the same image sent by two is one row, other content under a known id is refused."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from pier_registry import errors
from pier_registry.actions import fsck, reclaim
from pier_registry.actions.registry import Registry
from tests.registry.counting import passing, truth
from tests.registry.counting.crashing import Meanwhile, fused
from tests.registry.counting.pushing import (
    Client,
    Image,
    chain,
    compressed_anew,
    content,
    held,
    image,
    with_other_content,
)

TAKEN = "already used for different content"


@pytest.fixture
def open_bob(registry: Registry) -> Client:
    """May push elsewhere only, so what alice has is not shown to him."""
    return Client(registry, "bob", pulls="open/*", pushes="open/*")


@pytest.mark.parametrize("place", ["sqlite", "mariadb", "mysql"], indirect=True)
def test_the_same_image_of_a_second_user_joins_the_first(registry: Registry, alice: Client, open_bob: Client) -> None:
    top = chain("base", "top")
    alice.push("secret/app", "latest", top)
    assert not open_bob.told_there(top)
    open_bob.push("open/app", "latest", top)
    assert (truth.count(registry, "image"), truth.count(registry, "layer")) == (2, 2 + 1)
    assert alice.delete("secret/app", "latest").freed_bytes == 0
    assert open_bob.pulled(top) == content(top)
    truth.is_at_rest(registry)


def test_the_same_tar_in_other_gzip_joins_and_its_bytes_go(registry: Registry, alice: Client, open_bob: Client) -> None:
    base = image("base")
    top = image("top", base)
    alice.push("secret/app", "latest", top)
    open_bob.push("open/app", "latest", replace(compressed_anew(top), parent=compressed_anew(base)))
    assert open_bob.pulled(top) == content(top)
    truth.is_at_rest(registry)


def test_other_content_under_a_known_id_is_refused_with_a_text_of_its_own(
    registry: Registry, alice: Client, open_bob: Client
) -> None:
    top = image("top")
    alice.push("secret/app", "latest", top)
    other = with_other_content(top)
    open_bob.send_json(other)
    open_bob.send_layer(other)
    with pytest.raises(errors.ImageTaken, match=TAKEN) as refused:
        open_bob.send_checksum(other)
    assert refused.value.v1_text != errors.ImageExists().v1_text
    assert not open_bob.told_there(top)
    assert alice.pulled(top) == content(top)
    passing.everything(registry)
    truth.is_at_rest(registry)


def test_another_json_under_a_known_id_is_refused(registry: Registry, alice: Client, open_bob: Client) -> None:
    top = image("top")
    alice.push("secret/app", "latest", top)
    with pytest.raises(errors.ImageTaken, match=TAKEN):
        open_bob.send(replace(top, json=top.json + b" "))
    passing.everything(registry)
    truth.is_at_rest(registry)


def test_a_taken_id_cannot_be_tagged_by_the_one_who_was_refused(alice: Client, open_bob: Client) -> None:
    top = image("top")
    alice.push("secret/app", "latest", top)
    with pytest.raises(errors.ImageTaken):
        open_bob.send(with_other_content(top))
    with pytest.raises(errors.ImageUnknown):
        open_bob.tag("open/app", "latest", top)


def test_an_unfinished_image_is_seen_by_its_user_only(registry: Registry, alice: Client, bob: Client) -> None:
    top = image("top")
    alice.send_json(top)
    alice.send_layer(top)
    with pytest.raises(errors.ImageIncomplete):
        alice.pulled(top)
    with pytest.raises(errors.ImageUnknown):
        bob.pulled(top)
    with pytest.raises(errors.ImageUnknown):
        bob.send_layer(top)
    passing.everything(registry)
    truth.is_at_rest(registry)


def test_two_users_may_send_the_same_image_at_once(registry: Registry, alice: Client, bob: Client) -> None:
    top = image("top")
    for client in (alice, bob):
        client.send_json(top)
    for client in (alice, bob):
        client.send_layer(top)
    for client in (alice, bob):
        client.send_checksum(top)
    alice.tag("team/app", "latest", top)
    bob.tag("other/app", "latest", top)
    truth.is_at_rest(registry)
    assert truth.count(registry, "layer") == 1 + 1  # with the config, which is the same too


def test_two_clients_of_one_user_may_send_the_same_image_at_once(registry: Registry, alice: Client) -> None:
    top = image("top")
    other = Client(registry, "alice", agent="docker/1.6.0")
    for client in (alice, other):
        client.send_json(top)
        client.send_layer(top)
    for number, client in enumerate((alice, other)):
        client.send_checksum(top)
        client.tag("team/app", f"{number}", top)
    truth.is_at_rest(registry)


def test_two_clients_of_one_user_may_confirm_the_same_image_at_the_same_moment(
    registry: Registry, alice: Client
) -> None:
    """Both choose the same upload; the one that comes second takes its own."""
    top = image("top")
    other = Client(registry, "alice", agent="docker/1.6.0")
    for client in (alice, other):
        client.send_json(top)
        client.send_layer(top)
    interrupted = fused(registry, Meanwhile(at="after a file was published", act=partial(other.send_checksum, top)))
    Client(interrupted).send_checksum(top)
    for number, client in enumerate((alice, other)):
        client.tag("team/app", f"{number}", top)
    passing.time(registry, passing.MINUTE)
    reclaim.work_off(registry)
    truth.is_at_rest(registry)


@pytest.mark.parametrize("deleted", [False, True], ids=["there", "deleted again"])
def test_a_layer_may_be_sent_after_another_client_of_the_user_completed_the_image(
    registry: Registry, alice: Client, deleted: bool
) -> None:
    """Docker gives up when its layer is refused, and it was told to send it."""
    top = chain("base", "top")
    other = Client(registry, "alice", agent="docker/1.6.0")
    alice.begin("team/app", top)
    for one in reversed(top.chain):
        alice.send_json(one)
        other.push("team/other", "latest", one)
        if deleted:
            other.delete("team/other", "latest")
        alice.send_layer(one)
        alice.send_checksum(one)
    alice.tag("team/app", "latest", top)
    alice.end("team/app")
    assert alice.pulled(top) == content(top)
    passing.time(registry, passing.MINUTE)
    reclaim.work_off(registry)
    truth.is_at_rest(registry)


def test_a_client_whose_address_changes_may_finish_what_it_began(registry: Registry) -> None:
    top = chain("base", "top")
    old, new = (Client(registry, agent=f"docker/1.5.0 at {place}") for place in ("home", "work"))
    for one in reversed(top.chain):
        old.send_json(one)
        new.send_layer(one)
        old.send_checksum(one)
    new.tag("team/app", "latest", top)
    passing.everything(registry)
    assert new.pulled(top) == content(top)
    truth.is_at_rest(registry)


def test_another_json_of_another_client_does_not_spoil_a_push(registry: Registry, alice: Client) -> None:
    top = image("top")
    other = Client(registry, "alice", agent="docker/1.6.0")
    alice.send_json(top)
    alice.send_layer(top)
    other.send_json(replace(top, json=top.json + b" "))
    alice.send_checksum(top)
    alice.tag("team/app", "latest", top)
    passing.everything(registry)
    truth.is_at_rest(registry)


def test_two_pushes_of_one_client_may_send_the_same_image(registry: Registry, alice: Client) -> None:
    """They share what is pending; the one that was overtaken may still send its layer."""
    base = image("base")
    tops = [image(f"top {number}", base) for number in range(2)]
    for top in tops:
        alice.begin("team/app", top)
        assert not alice.told_there(base)
        alice.send_json(base)
    for _ in tops:
        alice.send_layer(base)
        alice.send_checksum(base)
    for number, top in enumerate(tops):
        alice.send(top)
        alice.tag("team/app", f"{number}", top)
        alice.end("team/app")
        assert alice.pulled(top) == content(top)
    passing.time(registry, passing.MINUTE)
    reclaim.work_off(registry)
    truth.is_at_rest(registry)


def test_a_layer_of_an_image_that_was_complete_before_the_push_is_refused(registry: Registry, alice: Client) -> None:
    top = image("top")
    alice.push("team/app", "latest", top)
    alice.begin("team/app", top)
    with pytest.raises(errors.ImageExists):
        alice.send_layer(top)
    alice.end("team/app")
    with pytest.raises(errors.ImageExists):
        alice.send_layer(top)
    truth.is_at_rest(registry)


def test_an_upload_whose_file_is_gone_is_refused_with_a_way_out(registry: Registry, alice: Client) -> None:
    top = image("top")
    alice.send_json(top)
    alice.send_layer(top)
    (path,) = truth.files(registry, "uploads")
    (registry.settings.data / path).unlink()
    with pytest.raises(errors.Conflict, match="push it again"):
        alice.send_checksum(top)
    alice.send_layer(top)
    alice.send_checksum(top)
    alice.tag("team/app", "latest", top)
    passing.everything(registry)
    assert alice.pulled(top) == content(top)
    truth.is_at_rest(registry)


def test_a_layer_sent_anew_after_a_wrong_checksum_is_taken(registry: Registry, alice: Client) -> None:
    top = image("top")
    alice.send_json(top)
    alice.send_layer(with_other_content(top))
    with pytest.raises(errors.ChecksumMismatch):
        alice.send_checksum(top)
    alice.send_layer(top)
    alice.send_checksum(top)
    alice.tag("team/app", "latest", top)
    passing.everything(registry)
    assert alice.pulled(top) == content(top)
    truth.is_at_rest(registry)


def test_another_json_before_the_checksum_starts_the_image_anew(registry: Registry, alice: Client) -> None:
    top = image("top")
    alice.send_json(replace(top, json=top.json + b" "))
    alice.send_layer(top)
    alice.send_json(top)
    with pytest.raises(errors.ImageJsonInvalid, match="no layer yet"):
        alice.send_checksum(top)
    alice.send_layer(top)
    alice.send_checksum(top)
    alice.tag("team/app", "latest", top)
    passing.everything(registry)
    truth.is_at_rest(registry)


def test_an_image_that_was_abandoned_and_not_yet_reaped_can_be_pushed_again(registry: Registry, alice: Client) -> None:
    top = chain("base", "top")
    alice.begin("team/app", top)
    alice.send_missing(top)
    passing.leases(registry)
    alice.push("team/app", "latest", top)
    assert alice.pulled(top) == content(top)
    passing.everything(registry)
    truth.is_at_rest(registry)


@pytest.mark.parametrize("damage", ["missing", "short", "changed"])
def test_a_lost_layer_heals_when_the_same_bytes_are_pushed_again(
    registry: Registry, alice: Client, damage: str
) -> None:
    base = image("base")
    top = image("top", base)
    alice.push("team/app", "latest", top)
    (path,) = (path for path in truth.files(registry) if base.digest.encoded in path)
    spoil(registry, path, damage)
    report = fsck.run(registry, repair=True, digests=True)
    assert [finding.kind for finding in report.findings] == ["lost"]
    assert not told_in_a_push(alice, base)
    with pytest.raises(errors.ImageUnknown):
        alice.tag("team/app", "again", top)
    alice.push("team/app", "again", top)
    assert alice.pulled(top) == content(top)
    passing.everything(registry)
    truth.is_at_rest(registry)
    assert alice.delete("team/app", "again").freed_bytes == 0
    assert alice.delete("team/app", "latest").freed_bytes == held(top)
    truth.is_at_rest(registry)


@pytest.mark.parametrize("damage", ["missing", "short", "changed"])
def test_deleting_an_image_with_a_lost_layer_tells_no_bytes_that_are_not_there(
    registry: Registry, alice: Client, damage: str
) -> None:
    top = image("top")
    alice.push("team/app", "latest", top)
    (path,) = (path for path in truth.files(registry) if top.digest.encoded in path)
    spoil(registry, path, damage)
    fsck.run(registry, repair=True, digests=True)
    there = sum(truth.files(registry).values())
    told = alice.delete("team/app", "latest")
    assert (told.freed_bytes, told.pending_bytes) == (there, 0)
    truth.is_at_rest(registry)


def spoil(registry: Registry, path: str, damage: str) -> None:
    file = registry.settings.data / path
    if damage == "missing":
        file.unlink()
    elif damage == "short":
        file.write_bytes(file.read_bytes()[:-1])
    else:
        file.write_bytes(bytes(len(file.read_bytes())))


def told_in_a_push(client: Client, one: Image) -> bool:
    client.begin("team/app", one)
    told = client.told_there(one)
    client.end("team/app")
    return told
