"""Space that comes back in the background: what a crash or a broken disk left, once, by one process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from pier_registry import errors
from pier_registry.actions import delete, files, reclaim
from pier_registry.actions.registry import Registry
from pier_registry.metadata import duties, events, outbox
from pier_registry.metadata.session import Transaction
from tests.registry.counting import passing, truth
from tests.registry.counting.conftest import Place
from tests.registry.counting.crashing import Crash, Fuse, fused
from tests.registry.counting.planting import plant
from tests.registry.counting.pushing import Client, Image, chain, content, held, image, size


def blocked(registry: Registry, path: str) -> Path:
    """A file that cannot be unlinked: something of its name that is a folder with content. Returns the folder."""
    file = registry.settings.data / path
    file.rename(file.with_name("aside"))
    file.mkdir()
    (file / "content").touch()
    return file


def unblock(folder: Path) -> None:
    (folder / "content").unlink()
    folder.rmdir()
    folder.with_name("aside").rename(folder)


def file_of(registry: Registry, one: Image) -> str:
    (path,) = (path for path in truth.files(registry) if one.digest.encoded in path)
    return path


def test_a_file_that_cannot_be_removed_is_told_as_pending_and_goes_later(registry: Registry, alice: Client) -> None:
    top = image("top")
    alice.push("team/app", "latest", top)
    folder = blocked(registry, file_of(registry, top))
    told = alice.delete("team/app", "latest")
    assert (told.freed_bytes, told.pending_bytes) == (len(top.config), top.size)
    assert truth.count(registry, "outbox") == 1
    passing.time(registry, passing.MINUTE)
    reclaim.work_off(registry)
    assert truth.count(registry, "outbox") == 1
    unblock(folder)
    passing.time(registry, passing.HOUR)
    reclaim.work_off(registry)
    truth.is_at_rest(registry)


def test_a_removal_that_fails_is_tried_less_and_less_often(registry: Registry, alice: Client) -> None:
    top = image("top")
    alice.push("team/app", "latest", top)
    folder = blocked(registry, file_of(registry, top))
    alice.delete("team/app", "latest")
    waits = []
    for _ in range(10):
        passing.time(registry, passing.DAY)
        before = registry.metadata.read(lambda tx: tx.now)
        assert files.work_off(registry, 10) == 1
        waits.append(round((_due(registry) - before) / 1000))
    wanted = [30, 60, 120, 240, *waits[4:-1], 3600]
    # The second reading of the clock comes later.
    assert all(due <= waited <= due + 2 for waited, due in zip(waits, wanted, strict=True)), waits
    unblock(folder)


def _due(registry: Registry) -> int:
    statement = "SELECT not_before FROM outbox"
    return int(registry.metadata.read(lambda tx: tx.connection.exec_driver_sql(statement).scalar_one()))


def test_a_removal_is_left_to_its_request_for_a_while(registry: Registry, alice: Client) -> None:
    fuse = Fuse()
    fragile = Client(fused(registry, fuse))
    alice.push("team/app", "latest", image("top"))
    with pytest.raises(Crash), fuse.lit(2):
        fragile.delete("team/app", "latest")
    assert fuse.passed[-1] == "after a commit"
    assert files.work_off(registry, 10) == 0
    assert len(truth.files(registry)) == 2
    passing.time(registry, outbox.GRACE / 1000)
    assert files.work_off(registry, 10) == 2
    truth.is_at_rest(registry)


def test_a_crash_after_unlinking_is_settled_later(registry: Registry, alice: Client) -> None:
    fuse = Fuse()
    fragile = Client(fused(registry, fuse))
    alice.push("team/app", "latest", image("top"))
    with pytest.raises(Crash), fuse.lit(3):
        fragile.delete("team/app", "latest")
    assert fuse.passed[-1] == "after a file was removed"
    truth.holds(registry)
    passing.everything(registry)
    truth.is_at_rest(registry)


def test_a_push_may_crash_at_any_step_and_be_repeated(registry: Registry, alice: Client) -> None:
    fuse = Fuse()
    fragile = Client(fused(registry, fuse))
    top = chain("base", "top")
    steps = 0
    while crashes(fuse, steps, lambda: fragile.push("team/app", "latest", top)):
        steps += 1
        truth.holds(registry)
        alice.push("team/app", "latest", top)
        assert alice.pulled(top) == content(top)
        truth.holds(registry)
        passing.everything(registry)
        truth.is_at_rest(registry)
        assert alice.delete("team/app", "latest").freed_bytes == held(top)
    assert steps > 30
    truth.is_at_rest(registry)


def crashes(fuse: Fuse, steps: int, act: Callable[[], object]) -> bool:
    try:
        with fuse.lit(steps):
            act()
    except Crash:
        return True
    return False


def test_a_retag_may_crash_at_any_step(registry: Registry, alice: Client) -> None:
    fuse = Fuse()
    fragile = Client(fused(registry, fuse))
    base = image("base")
    tops = [image(f"top {number}", base) for number in range(2)]
    steps = 0

    def ready() -> None:
        alice.push("team/app", "latest", tops[0])
        alice.begin("team/app", tops[1])
        alice.send_missing(tops[1])

    ready()
    while crashes(fuse, steps, lambda: fragile.tag("team/app", "latest", tops[1])):
        steps += 1
        assert truth.tags(registry)["team/app", "latest"] in {top.id for top in tops}
        truth.holds(registry)
        passing.everything(registry)
        truth.is_at_rest(registry)
        ready()
    assert steps >= 5
    alice.end("team/app")
    passing.everything(registry)
    truth.is_at_rest(registry)


@pytest.mark.parametrize("place", ["sqlite", "mariadb", "mysql"], indirect=True)
def test_a_large_repository_goes_in_batches(registry: Registry, alice: Client) -> None:
    base = image("base")
    plant(registry, "team/app", {f"{number:03}": image(f"top {number}", base) for number in range(210)})
    truth.is_at_rest(registry)
    foreseen = alice.preview_repository("team/app")
    told = alice.delete_repository("team/app")
    assert told == foreseen
    assert (len(told.tags), len(told.layers), told.pending_bytes) == (210, 211, 0)
    assert truth.files(registry) == {}
    truth.is_at_rest(registry)


def test_a_repository_delete_that_crashed_half_way_is_finished_in_the_background(
    registry: Registry, alice: Client
) -> None:
    fuse = Fuse()
    fragile = Client(fused(registry, fuse))
    base = image("base")
    plant(registry, "team/app", {f"{number:03}": image(f"top {number}", base) for number in range(210)})
    alice.push("team/kept", "latest", image("kept", base))
    with pytest.raises(Crash), fuse.lit(3 + 3 + 150):
        fragile.delete_repository("team/app")
    truth.holds(registry)
    assert truth.count(registry, "tag") == 11
    with pytest.raises(errors.RepositoryUnknown):
        alice.delete_repository("team/app")
    reclaim.work_off(registry)
    assert truth.count(registry, "tag") == 11
    passing.time(registry, passing.MINUTE)
    reclaim.work_off(registry)
    truth.is_at_rest(registry)
    assert set(truth.tags(registry)) == {("team/kept", "latest")}


def test_a_name_can_be_pushed_while_its_old_repository_is_half_deleted(registry: Registry, alice: Client) -> None:
    fuse = Fuse()
    fragile = Client(fused(registry, fuse))
    old, new = chain("base", "old"), chain("base", "new")
    alice.push("team/app", "latest", old)
    with pytest.raises(Crash), fuse.lit(3):
        fragile.delete_repository("team/app")
    alice.push("team/app", "latest", new)
    passing.everything(registry)
    assert truth.tags(registry) == {("team/app", "latest"): new.id}
    truth.is_at_rest(registry)


def test_a_repository_too_large_for_a_preview_is_refused(
    registry: Registry, alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delete, "PREVIEW_FOR", -1.0)
    alice.push("team/app", "latest", image("top"))
    with pytest.raises(errors.Busy, match="one by one"):
        alice.preview_repository("team/app")
    truth.is_at_rest(registry)


def test_one_of_many_reclaimers_works(place: Place) -> None:
    reclaimers = [reclaim.Reclaimer(place.open()) for _ in range(4)]
    assert sum(reclaimer.turn() for reclaimer in reclaimers) == 1
    assert [reclaimer.turn() for reclaimer in reclaimers] == [True, False, False, False]


def test_another_reclaimer_takes_over_when_the_first_is_gone(place: Place) -> None:
    first, second = (reclaim.Reclaimer(place.open()) for _ in range(2))
    assert [first.turn(), second.turn()] == [True, False]
    passing.time(place.opened[0], 2 * passing.HOUR)
    assert [second.turn(), first.turn()] == [True, False]


def test_reclaimers_that_start_together_do_not_both_work(place: Place) -> None:
    reclaimers = [reclaim.Reclaimer(place.open()) for _ in range(8)]
    worked: list[bool] = []
    threads = [threading.Thread(target=lambda known=known: worked.append(known.turn())) for known in reclaimers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(worked) == [False] * 7 + [True]


def test_a_duty_that_is_laid_down_is_free_at_once(place: Place) -> None:
    first, second = (reclaim.Reclaimer(place.open()) for _ in range(2))
    first.start()
    assert first.turn()
    first.stop()
    assert second.turn()


def test_a_host_with_a_long_name_can_hold_a_duty(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "a" * 63)
    registry = place.open()
    holder = duties.new_holder()
    assert registry.metadata.write(lambda tx: duties.take(tx, "work", holder, 1000))
    assert registry.metadata.write(lambda tx: duties.take(tx, "work", holder, 1000))


@pytest.mark.parametrize("place", ["sqlite", "mariadb", "mysql"], indirect=True)
def test_folding_old_events_keeps_the_sum_of_freed_bytes(registry: Registry, alice: Client) -> None:
    tops = [image(f"top {number}") for number in range(4)]
    for top in tops[:3]:
        alice.push("team/app", "latest", top)
    alice.delete("team/app", "latest")
    for _ in range(2):
        passing.time(registry, (registry.settings.event_days + 1) * passing.DAY)
        reclaim.work_off(registry)
        assert _freed(registry) == held(*tops[:3])
        assert [event.action for event in _events(registry)] == ["folded"]
    alice.push("team/app", "latest", tops[3])
    assert [event.action for event in _events(registry)] == ["tag", "folded"]


def _freed(registry: Registry) -> int:
    return registry.metadata.read(events.freed_bytes)


def _events(registry: Registry) -> list[events.Event]:
    return registry.metadata.read(lambda tx: events.latest(tx, 10))


def test_what_a_repository_and_an_ended_promise_free_is_in_the_sum(registry: Registry, alice: Client) -> None:
    top, other = chain("base", "top"), image("other")
    alice.push("team/app", "latest", top)
    alice.delete_repository("team/app")
    alice.begin("team/app", other)
    alice.send(other)
    passing.leases(registry)
    reclaim.work_off(registry)
    assert _freed(registry) == held(top) + size(other)


def test_an_upload_that_nobody_finishes_goes_after_its_time(registry: Registry, alice: Client) -> None:
    top = image("top")
    alice.send_json(top)
    alice.send_layer(top)
    truth.uploads_are_known(registry)
    reclaim.work_off(registry)
    assert truth.count(registry, "upload") == 1
    passing.everything(registry)
    truth.is_at_rest(registry)
    with pytest.raises(errors.ImageUnknown):
        alice.send_layer(top)


def test_a_file_without_an_upload_goes_once_it_is_old(registry: Registry) -> None:
    stray = registry.settings.data / "uploads" / "00000000-0000-4000-8000-000000000000.0123456789abcdef"
    stray.write_bytes(b"half a body")
    reclaim.work_off(registry)
    assert stray.exists()
    passing.time(registry, registry.settings.upload_timeout + 1)
    reclaim.work_off(registry)
    truth.is_at_rest(registry)


def test_a_fault_in_one_pass_does_not_end_reclaiming(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    registry = place.open()
    alice = Client(registry)
    alice.begin("team/app", image("top"))
    alice.send(image("top"))
    passing.leases(registry)
    reclaimer = reclaim.Reclaimer(_failing_once(registry), interval=0.05)
    reclaimer.start()
    try:
        for _ in range(100):
            if not truth.files(registry):
                break
            passing.wait(0.05)
    finally:
        reclaimer.stop()
    assert truth.files(registry) == {}
    assert "reclaim failed" in caplog.text


def _failing_once(registry: Registry) -> Registry:
    class Fault(Fuse):
        def step(self, name: str) -> None:
            if self.left == 0:
                self.left = None
                raise RuntimeError(name)

    return fused(registry, Fault(left=0))


def test_a_delete_that_cannot_settle_the_outbox_is_told_as_done(
    registry: Registry, alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its commit is done and the bytes are back: an error would make the client ask again, and be told 404."""
    top = image("top")
    alice.push("team/app", "latest", top)

    def away(_tx: Transaction, _ids: object) -> None:
        raise errors.Busy("the database is busy: try again")

    with monkeypatch.context() as patched:
        patched.setattr(outbox, "settle", away)
        assert alice.delete("team/app", "latest").freed_bytes == held(top)
    passing.everything(registry)
    truth.is_at_rest(registry)
