"""What a delete tells: what is back, kept and by whom, promised; and that a preview tells the same."""

from __future__ import annotations

import hashlib

import pytest

from pier_registry import errors
from pier_registry.actions.registry import Registry
from tests.registry.counting import passing, truth
from tests.registry.counting.pushing import Client, chain, content, held, image, size


@pytest.mark.parametrize("place", ["sqlite", "mariadb", "mysql"], indirect=True)
def test_a_preview_gives_the_receipt_of_the_delete(registry: Registry, alice: Client) -> None:
    base = chain("root", "base")
    one, other = image("one", base), chain("other 1", "other 2", base=base)
    alice.push("team/app", "one", one)
    alice.push("team/app", "other", other)
    for tag in ("one", "other"):
        foreseen = alice.preview("team/app", tag)
        truth.is_at_rest(registry)
        assert alice.delete("team/app", tag) == foreseen
    truth.is_at_rest(registry)


@pytest.mark.parametrize("place", ["sqlite", "mariadb", "mysql"], indirect=True)
def test_a_preview_gives_the_receipt_of_the_delete_of_a_repository(registry: Registry, alice: Client) -> None:
    base = image("base")
    for number in range(4):
        alice.push("team/app", f"{number}", image(f"top {number}", base))
    alice.push("team/other", "latest", image("other", base))
    foreseen = alice.preview_repository("team/app")
    assert truth.count(registry, "tag") == 5
    assert alice.delete_repository("team/app") == foreseen
    truth.is_at_rest(registry)


def test_a_preview_gives_the_receipt_of_a_delete_that_leaves_promises(registry: Registry, alice: Client) -> None:
    top = chain("root", "base", "top")
    alice.push("team/app", "latest", top)
    alice.begin("team/app", top)
    assert alice.told_there(top.chain[1])
    foreseen = alice.preview("team/app", "latest")
    assert alice.delete("team/app", "latest") == foreseen
    assert len(foreseen.promised) == 2


def test_a_preview_changes_nothing(registry: Registry, alice: Client) -> None:
    top = chain("base", "top")
    alice.push("team/app", "latest", top)
    before = truth.rows(registry)
    alice.preview("team/app", "latest")
    alice.preview_repository("team/app")
    assert truth.rows(registry) == before
    assert alice.pulled(top) == content(top)


def test_a_preview_needs_the_right_to_delete(alice: Client, registry: Registry) -> None:
    alice.push("team/app", "latest", image("top"))
    reader = Client(registry, "reader", pushes="")
    with pytest.raises(errors.Denied):
        reader.preview("team/app", "latest")
    with pytest.raises(errors.Denied):
        reader.preview_repository("team/app")


def test_a_receipt_names_what_went(alice: Client) -> None:
    top = chain("base", "top")
    alice.push("team/app", "latest", top)
    told = alice.delete("team/app", "latest")
    assert (told.repository, told.tags) == ("team/app", ("latest",))
    assert told.images == tuple(one.id for one in top.chain)
    stored = {(str(one.digest), one.size) for one in top.chain} | {
        ("sha256:" + hashlib.sha256(top.config).hexdigest(), len(top.config))
    }
    assert {(line.digest, line.size) for line in told.layers} == stored
    assert (told.kept, told.promised, told.pending_bytes) == ((), (), 0)


def test_a_receipt_of_the_default_namespace_names_the_short_repository(alice: Client) -> None:
    alice.push("app", "latest", image("top"))
    assert alice.delete("app", "latest").repository == "app"


def test_a_receipt_names_the_holders_of_what_is_kept(alice: Client) -> None:
    base = image("base")
    alice.push("team/app", "old", image("old", base))
    alice.push("team/app", "new", image("new", base))
    alice.push("app", "other", image("other", base))
    (kept,) = alice.delete("team/app", "old").kept
    assert (kept.digest, kept.size) == (str(base.digest), base.size)
    assert kept.cnt == 1 + 2  # its image and the manifests of two tops
    assert (kept.held_by, kept.others) == (("app:other", "team/app:new"), 0)


def test_a_receipt_counts_the_holders_that_its_reader_may_not_pull(registry: Registry, alice: Client) -> None:
    base = image("base")
    bob = Client(registry, "bob", pulls="open/*", pushes="open/*")
    alice.push("secret/app", "1", image("secret 1", base))
    alice.push("secret/app", "2", image("secret 2", base))
    alice.push("open/app", "kept", image("kept", base))
    alice.push("open/app", "gone", image("gone", base))
    foreseen = bob.preview("open/app", "gone")
    (kept,) = foreseen.kept
    assert (kept.held_by, kept.others) == (("open/app:kept",), 2)
    assert "secret" not in repr(foreseen)
    assert bob.delete("open/app", "gone") == foreseen


def test_a_receipt_names_ten_holders_and_counts_the_rest(registry: Registry, alice: Client) -> None:
    top = image("top")
    alice.push("team/app", "00", top)
    for number in range(1, 14):
        alice.tag("team/app", f"{number:02}", top)
    layer, config = sorted(alice.delete("team/app", "00").kept, key=lambda line: line.digest != str(top.digest))
    assert layer.held_by == config.held_by == tuple(f"team/app:{number:02}" for number in range(1, 11))
    assert (layer.others, layer.cnt) == (3, 1 + 1)  # its image and the manifest of all tags
    assert (config.others, config.cnt) == (3, 1)
    truth.is_at_rest(registry)


def test_a_receipt_names_what_is_promised_and_until_when(registry: Registry, alice: Client) -> None:
    base = image("base")
    top = image("top", base)
    alice.push("team/app", "latest", top)
    alice.begin("team/app", base)
    assert alice.told_there(base)
    told = alice.delete("team/app", "latest")
    assert (told.freed_bytes, told.pending_bytes) == (held(top) - base.size, base.size)
    (promised,) = told.promised
    assert (promised.digest, promised.size) == (str(base.digest), base.size)
    assert promised.until.endswith("+00:00")
    assert told.kept == ()
    truth.holds(registry)


def test_a_receipt_of_a_repository_tells_what_is_promised_once(registry: Registry, alice: Client) -> None:
    base = image("base")
    one, other = image("one", base), image("other", base)
    alice.push("team/app", "one", one)
    alice.push("team/app", "other", other)
    alice.begin("team/app", one)
    assert alice.told_there(one)
    told = alice.delete_repository("team/app")
    assert told.freed_bytes == held(one, other) - size(one, base)
    assert told.pending_bytes == size(one, base)
    assert sorted(line.size for line in told.promised) == sorted((one.size, base.size))
    passing.leases(registry)


def test_a_receipt_tells_what_is_freed_where_rights_end(registry: Registry, alice: Client) -> None:
    """An image that is shown to nobody else is still freed by whoever deletes its last tag."""
    bob = Client(registry, "bob", pulls="open/*", pushes="open/*")
    top = chain("base", "top")
    bob.push("open/app", "latest", top)
    assert bob.delete("open/app", "latest").freed_bytes == held(top)
    truth.is_at_rest(registry)


def test_the_receipts_of_all_deletes_add_up_to_what_was_stored(registry: Registry, alice: Client) -> None:
    base = chain("root", "base")
    tops = [image(f"top {number}", base) for number in range(4)]
    for number, top in enumerate(tops):
        alice.push("team/app", f"{number}", top)
    stored = sum(truth.files(registry).values())
    told = [alice.delete("team/app", f"{number}").freed_bytes for number in (2, 0, 3, 1)]
    assert told[:3] == [tops[number].size + len(tops[number].config) for number in (2, 0, 3)]
    assert sum(told) == stored
