"""`fsck`: it finds what is wrong, mends what it can, and never makes anything worse."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import update

from pier_registry.actions import fsck, reclaim
from pier_registry.actions.fsck import Report
from pier_registry.actions.registry import Registry
from pier_registry.metadata import layers, recount, schema
from pier_registry.metadata.layers import Arrival
from pier_registry.metadata.session import Transaction
from pier_registry.names import Digest
from tests.registry.counting import passing, truth
from tests.registry.counting.pushing import Client, chain, content, image, size


def check(registry: Registry, *, repair: bool = False, digests: bool = True) -> Report:
    return fsck.run(registry, repair=repair, digests=digests)


def kinds(report: Report) -> list[str]:
    return sorted(finding.kind for finding in report.findings)


@pytest.mark.parametrize("place", ["sqlite", "mariadb", "mysql"], indirect=True)
def test_a_sound_registry_is_clean(registry: Registry, alice: Client) -> None:
    base = image("base")
    alice.push("team/app", "one", image("one", base))
    alice.push("team/app", "two", image("two", base))
    report = check(registry)
    assert (report.findings, report.layers, report.files, report.clean) == (
        [],
        3 + 2,
        3 + 2,
        True,
    )  # layers, and the configs of two tags


def test_a_registry_in_the_middle_of_a_push_is_clean(registry: Registry, alice: Client) -> None:
    top = chain("base", "middle", "top")
    alice.begin("team/app", top)
    alice.send(top.chain[2])
    alice.send_json(top.chain[1])
    alice.send_layer(top.chain[1])
    assert check(registry, repair=True).findings == []
    alice.send_checksum(top.chain[1])
    alice.send(top)
    alice.tag("team/app", "latest", top)
    alice.end("team/app")
    truth.is_at_rest(registry)


def test_a_promise_that_ran_out_and_waits_to_be_worked_off_is_clean(registry: Registry, alice: Client) -> None:
    alice.begin("team/app", image("top"))
    alice.send(image("top"))
    passing.leases(registry)
    assert check(registry).findings == []
    reclaim.work_off(registry)
    truth.is_at_rest(registry)


@pytest.mark.parametrize("place", ["sqlite", "mariadb", "mysql"], indirect=True)
def test_a_wrong_count_is_found_and_set_right(registry: Registry, alice: Client) -> None:
    base = image("base")
    alice.push("team/app", "one", image("one", base))
    alice.push("team/app", "two", image("two", base))

    def spoil(tx: Transaction) -> None:
        tx.run(update(schema.image).values(cnt=schema.image.c.cnt + 1))
        tx.run(update(schema.layer).values(cnt=7))

    registry.metadata.write(spoil)
    assert kinds(check(registry)) == ["miscount"] * (3 + 3 + 2)
    assert kinds(check(registry, repair=True)) == ["miscount"] * (3 + 3 + 2)
    assert check(registry).findings == []
    truth.is_at_rest(registry)


def test_a_count_that_changed_since_it_was_found_wrong_is_set_to_what_it_is_now(
    registry: Registry, alice: Client
) -> None:
    base = image("base")
    alice.push("team/app", "one", image("one", base))
    registry.metadata.write(lambda tx: tx.run(update(schema.image).values(cnt=9)))
    wrong = registry.metadata.read(recount.miscounts)
    alice.push("team/app", "two", image("two", base))
    for one in wrong:
        registry.metadata.write(partial(recount.repair, wrong=one))
    truth.is_at_rest(registry)


@pytest.mark.parametrize("place", ["sqlite", "mariadb", "mysql"], indirect=True)
def test_what_nobody_holds_is_found_and_removed(registry: Registry, alice: Client) -> None:
    top = chain("base", "top")
    alice.push("team/app", "kept", image("kept"))
    alice.begin("team/app", top)
    alice.send_missing(top)
    registry.metadata.write(lambda tx: tx.run(schema.lease.delete()))
    assert kinds(check(registry)) == ["unheld"] * 4
    report = check(registry, repair=True)
    assert (kinds(report), report.freed_bytes) == (["unheld"] * 4, size(*top.chain))
    truth.is_at_rest(registry)


@pytest.mark.parametrize("damage", ["missing", "short", "a folder"])
def test_a_damaged_file_is_found_without_reading_all(registry: Registry, alice: Client, damage: str) -> None:
    top = chain("base", "top")
    alice.push("team/app", "latest", top)
    damaged(registry, top.digest, damage)
    assert kinds(check(registry, digests=False)) == ["lost"]
    report = check(registry, repair=True, digests=False)
    assert (kinds(report), report.clean) == (["lost"], True)
    assert check(registry).findings == []


def test_other_bytes_are_found_only_by_reading_all(registry: Registry, alice: Client) -> None:
    top = image("top")
    alice.push("team/app", "latest", top)
    damaged(registry, top.digest, "changed")
    assert check(registry, digests=False).findings == []
    assert kinds(check(registry, digests=True)) == ["lost"]


def damaged(registry: Registry, digest: Digest, damage: str) -> Path:
    (path,) = (path for path in truth.files(registry) if digest.encoded in path)
    file = registry.settings.data / path
    if damage == "short":
        file.write_bytes(file.read_bytes()[:-1])
    elif damage == "changed":
        file.write_bytes(bytes(file.stat().st_size))
    else:
        file.rename(registry.settings.data / "aside")
        if damage == "a folder":
            file.mkdir()
    return file


def test_files_that_come_back_are_found_again_and_never_removed(registry: Registry, alice: Client) -> None:
    """A volume that was not mounted when `--repair` ran must not cost its bytes when it is back."""
    top = chain("base", "top")
    alice.push("team/app", "latest", top)
    (registry.settings.data / "layers").rename(registry.settings.data / "aside")
    (registry.settings.data / "layers").mkdir()
    assert kinds(check(registry, repair=True)) == ["lost"] * 3
    (registry.settings.data / "layers").rmdir()
    (registry.settings.data / "aside").rename(registry.settings.data / "layers")
    passing.time(registry, 3 * passing.DAY)
    assert kinds(check(registry)) == ["lost"] * 3
    assert kinds(check(registry, repair=True)) == ["lost"] * 3
    assert alice.pulled(top) == content(top)
    truth.is_at_rest(registry)
    assert check(registry).findings == []


def test_a_file_that_could_not_be_read_once_is_not_removed(registry: Registry, alice: Client) -> None:
    top = image("top")
    alice.push("team/app", "latest", top)
    folder = damaged(registry, top.digest, "a folder")
    passing.time(registry, 3 * passing.DAY)
    check(registry, repair=True)
    folder.rmdir()
    (registry.settings.data / "aside").rename(folder)
    check(registry, repair=True)
    assert alice.pulled(top) == content(top)
    truth.is_at_rest(registry)


def test_a_file_without_a_row_is_a_stray_once_it_is_old(registry: Registry, alice: Client) -> None:
    alice.push("team/app", "latest", image("top"))
    stray = registry.settings.data / f"layers/sha256/aa/{'a' * 64}.00000000-0000-4000-8000-000000000000"
    odd = registry.settings.data / "layers/odd"
    for file in (stray, odd):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"bytes")
    assert check(registry).findings == []
    passing.time(registry, registry.settings.upload_timeout + 1)
    assert kinds(check(registry)) == ["stray", "stray"]
    report = check(registry, repair=True)
    assert (kinds(report), report.freed_bytes) == (["stray", "stray"], 10)
    truth.is_at_rest(registry)


def test_the_file_of_an_unconfirmed_upload_or_a_queued_removal_is_no_stray(registry: Registry, alice: Client) -> None:
    top = image("top")
    alice.send_json(top)
    alice.send_layer(top)
    (row,) = truth.rows(registry).of("upload")
    registry.storage.publish(row["uuid"], top.digest)
    passing.time(registry, 3 * passing.DAY)
    assert check(registry).findings == []
    passing.everything(registry)
    truth.is_at_rest(registry)


def test_a_layer_that_is_deleted_while_it_is_read_is_not_lost(registry: Registry, alice: Client) -> None:
    alice.push("team/app", "latest", image("top"))
    page = registry.metadata.read(lambda tx: layers.page(tx, 0, 10))
    alice.delete("team/app", "latest")
    report = Report()
    fsck._look(registry, report, page[0], digests=True, repair=True)
    assert report.findings == []
    truth.is_at_rest(registry)


def test_a_lost_layer_that_arrives_leaves_no_old_file(registry: Registry, alice: Client) -> None:
    top = image("top")
    alice.push("team/app", "latest", top)
    damaged(registry, top.digest, "changed")
    check(registry, repair=True)
    arrival = Arrival(top.digest, top.size, "00000000-0000-4000-8000-000000000000", None)
    registry.metadata.write(lambda tx: layers.arrive(tx, arrival))
    assert truth.count(registry, "outbox") == 1


def test_progress_is_told_for_every_layer_and_file(registry: Registry, alice: Client) -> None:
    alice.push("team/app", "latest", chain("1", "2", "3"))
    told: list[str] = []
    fsck.run(registry, repair=False, digests=False, progress=lambda step, _count: told.append(step))
    assert (told.count("layers"), told.count("files")) == (3 + 1, 3 + 1)
