"""What the counting asks of its database: a schema that fits, a clock that never jumps, rules that hold."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, event, exc, update

from pier_registry import errors
from pier_registry.actions.registry import Registry
from pier_registry.metadata import duties, leases, migrate, refcounts, schema, version
from pier_registry.metadata.leases import Pusher
from pier_registry.metadata.session import Metadata, Transaction
from tests.parts import mariadb as mariadb_servers
from tests.parts.database import DatabaseServer
from tests.registry.counting import truth
from tests.registry.counting.conftest import Place
from tests.registry.counting.crashing import Crash
from tests.registry.counting.pushing import Client, chain, image

EVERYWHERE = pytest.mark.parametrize("place", ["sqlite", "mariadb", "mysql"], indirect=True)
_NUMBERS = count(1)


@pytest.fixture(params=["sqlite", "mariadb", "mysql"])
def empty(request: pytest.FixtureRequest, tmp_path: Any) -> Iterator[Metadata]:
    """A database without a schema."""
    if request.param == "sqlite":
        metadata = Metadata(f"sqlite:///{tmp_path}/empty.sqlite3")
    else:
        server: DatabaseServer = request.getfixturevalue(request.param)
        metadata = Metadata(server.create_database(f"empty{next(_NUMBERS)}"))
    yield metadata
    metadata.close()


@EVERYWHERE
def test_the_migrated_schema_is_the_one_the_code_works_on(registry: Registry) -> None:
    with registry.metadata.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, schema.metadata) == []


@EVERYWHERE
def test_a_schema_newer_than_the_code_is_refused(registry: Registry) -> None:
    with registry.metadata.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    try:
        for look in (version.state, migrate.upgrade):
            with pytest.raises(errors.Misconfigured, match=r"9999.*newer"):
                look(registry.metadata)
    finally:
        with registry.metadata.engine.begin() as connection:
            connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0001'")


def test_a_migration_that_was_cut_half_way_can_be_run_again(empty: Metadata) -> None:
    for statements in (1, 4, 11, 16, 18):
        with pytest.raises(Crash), _cut_after(empty, statements):
            migrate.upgrade(empty)
        assert version.state(empty) == "behind"
    assert migrate.upgrade(empty)
    assert (version.state(empty), migrate.upgrade(empty)) == ("current", False)
    with empty.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), schema.metadata) == []


class _cut_after:  # noqa: N801  read as a verb
    """The process is gone after so many statements of the schema."""

    def __init__(self, metadata: Metadata, statements: int) -> None:
        self._engine, self._left = metadata.engine, statements

    def __enter__(self) -> None:
        event.listen(self._engine, "after_cursor_execute", self._count)

    def __exit__(self, *_: object) -> None:
        event.remove(self._engine, "after_cursor_execute", self._count)

    def _count(self, _connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.lstrip().upper().startswith("CREATE"):
            self._left -= 1
            if self._left == 0:
                raise Crash(statement)


def test_a_killed_migration_holds_up_the_next_for_a_minute_at_most(empty: Metadata) -> None:
    with pytest.raises(Crash), _cut_after(empty, 5):
        migrate.upgrade(empty)
    empty.write(lambda tx: duties.take(tx, "migrate", "killed", 60_000))

    def pass_a_minute(tx: Transaction) -> None:
        tx.run(update(schema.duty).values(until=schema.duty.c.until - 59_500))

    empty.write(pass_a_minute)
    assert migrate.upgrade(empty)


def test_migrations_that_start_together_run_once(empty: Metadata) -> None:
    doors = [Metadata(empty.url.render_as_string(hide_password=False)) for _ in range(4)]
    ran: list[bool] = []
    threads = [threading.Thread(target=lambda door=door: ran.append(migrate.upgrade(door))) for door in doors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for door in doors:
        door.close()
    assert sorted(ran) == [False, False, False, True]
    assert version.state(empty) == "current"


@EVERYWHERE
def test_a_count_below_zero_is_refused_as_our_fault_and_undone(registry: Registry, alice: Client) -> None:
    alice.push("team/app", "latest", chain("base", "top"))
    rows = {row["image_id"]: row["id"] for row in truth.rows(registry).of("image")}
    with pytest.raises(exc.DBAPIError):
        registry.metadata.write(lambda tx: refcounts.release(tx, images=list(rows.values()) * 2))
    truth.is_at_rest(registry)


@EVERYWHERE
def test_the_clock_is_the_databases_in_milliseconds(registry: Registry) -> None:
    told = registry.metadata.read(lambda tx: tx.now)
    assert abs(told - datetime.now(UTC).timestamp() * 1000) < 5000


def test_ids_are_never_used_again(registry: Registry, alice: Client) -> None:
    seen: set[int] = set()
    for number in range(3):
        alice.push("team/app", "latest", image(f"top {number}"))
        (row,) = truth.rows(registry).of("image")
        alice.delete("team/app", "latest")
        assert row["id"] not in seen
        seen.add(row["id"])


def test_ids_are_not_used_again_after_a_restart_of_the_server() -> None:
    with mariadb_servers.running() as server:
        url = server.create_database("restarted")
        metadata = Metadata(url)
        migrate.upgrade(metadata)
        first = metadata.write(_lease_and_drop)
        metadata.close()
        server.restart()
        metadata = Metadata(url)
        assert metadata.write(_lease_and_drop) > first
        metadata.close()


def _lease_and_drop(tx: Transaction) -> int:
    leases.grant(tx, "image", 1, "team/app", Pusher("alice", "key"), life=1000)
    (held,) = leases.lock_all(tx, "image", "team/app", Pusher("alice", "key"))
    leases.drop(tx, [held])
    return held


@pytest.fixture(scope="module")
def in_berlin() -> Iterator[Metadata]:
    """A MariaDB server that lives in a time zone with summer time."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("TZ", "Europe/Berlin")
        with mariadb_servers.running() as server:
            assert server.execute("SELECT @@system_time_zone") in {(("CET",),), (("CEST",),)}
            metadata = Metadata(server.create_database("berlin"))
            migrate.upgrade(metadata)
            yield metadata
            metadata.close()


class _at:  # noqa: N801  read as a preposition
    """The server believes that it is so late, in seconds since 1970."""

    def __init__(self, metadata: Metadata, seconds: float) -> None:
        self._engine, self._seconds = metadata.engine, seconds

    def __enter__(self) -> None:
        event.listen(self._engine, "begin", self._set)

    def __exit__(self, *_: object) -> None:
        event.remove(self._engine, "begin", self._set)
        with self._engine.begin() as connection:
            connection.exec_driver_sql("SET timestamp = DEFAULT")

    def _set(self, connection: Connection) -> None:
        connection.exec_driver_sql(f"SET timestamp = {self._seconds}")


AUTUMN = datetime(2026, 10, 25, 1, tzinfo=UTC).timestamp()
SPRING = datetime(2026, 3, 29, 1, tzinfo=UTC).timestamp()


@pytest.mark.parametrize("change", [AUTUMN, SPRING], ids=["autumn", "spring"])
@pytest.mark.parametrize("minutes", [-90, -45, -1, 0, 1, 45, 90])
def test_the_clock_does_not_jump_when_summer_time_changes(in_berlin: Metadata, change: float, minutes: int) -> None:
    seconds = change + minutes * 60
    with _at(in_berlin, seconds):
        assert in_berlin.read(lambda tx: tx.now) == seconds * 1000


def test_a_promise_across_the_hour_that_comes_twice_lives_as_long_as_it_was_given(in_berlin: Metadata) -> None:
    pusher = Pusher("alice", "key")
    with _at(in_berlin, AUTUMN - 600):
        in_berlin.write(lambda tx: leases.grant(tx, "image", 1, "team/app", pusher, life=1_800_000))
    for minutes, lives in ((-5, True), (0, True), (19, True), (21, False), (70, False)):
        with _at(in_berlin, AUTUMN + minutes * 60):
            assert bool(in_berlin.read(lambda tx: leases.holding(tx, "image", [1]))) == lives
    with _at(in_berlin, AUTUMN + 70 * 60):
        assert in_berlin.write(lambda tx: leases.drop_expired(tx, 10)) == [leases.Freed("image", 1)]


@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")  # the driver's, of a connection refused
def test_a_database_that_is_away_is_told_so_and_comes_back() -> None:
    with mariadb_servers.running() as server:
        metadata = Metadata(server.create_database("away"))
        migrate.upgrade(metadata)
        server.kill()
        for ask in (metadata.read, metadata.write):
            with pytest.raises(errors.Unavailable):
                ask(lambda tx: tx.now)
        gc.collect()
        server.start()
        assert metadata.read(lambda tx: tx.now) > 0
        metadata.close()


@pytest.mark.parametrize("place", ["mariadb", "mysql"], indirect=True)
def test_a_lock_that_is_held_for_long_ends_in_busy(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pier_registry.metadata.session.RETRY_FOR", 0.5)
    monkeypatch.setattr("pier_registry.metadata.session._LOCK_WAIT", 1)
    registry, other = place.open(), place.open()
    Client(registry).push("team/app", "latest", image("top"))
    held, done = threading.Event(), threading.Event()

    def hold(tx: Transaction) -> None:
        tx.run(update(schema.image).values(depth=1))
        held.set()
        done.wait(30)

    holder = threading.Thread(target=lambda: registry.metadata.write(hold))
    holder.start()
    try:
        held.wait(10)
        with pytest.raises(errors.Busy):
            Client(other).delete("team/app", "latest")
    finally:
        done.set()
        holder.join()
    Client(other).delete("team/app", "latest")
    truth.is_at_rest(other)
