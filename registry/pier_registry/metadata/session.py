"""Transactions: one door to the database, with retry, the database's clock and the differences between engines.

SQLite: WAL, synchronous FULL, writers queue on a process mutex and a file lock and begin IMMEDIATE, so none of
them ever meets "database is locked". MariaDB and MySQL: READ COMMITTED for writes, one snapshot for reads, UTC, short
lock waits. A write is a function of a Transaction and nothing else, so it can be run again as a whole when the
database asks for it.
"""

from __future__ import annotations

import fcntl
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import URL, Connection, Engine, Executable, Select, create_engine, event, make_url, text
from sqlalchemy.engine import CursorResult
from sqlalchemy.exc import DBAPIError, OperationalError

from pier_registry import errors
from pier_registry.metadata.columns import MYSQL
from pier_registry.metadata.glances import Glances

Result = TypeVar("Result")

RETRY_FOR: Final = 20.0  # seconds; 10 were too few for two of 50 pushers that shared two slow cores with MariaDB
# Deadlock, lock time-out, stale snapshot, duplicate key: a lost race, all undone, so the whole is run again.
_TRY_AGAIN: Final = frozenset({1213, 1205, 1020, 1062})
_FULL: Final = frozenset({1021, 1114, 3675})
_NO_TABLE: Final = frozenset({1146, 1054})
_LOGIN: Final = {
    1045: "the database refuses the login: check user and password of PIER_DATABASE_URL",
    1044: "the database refuses the login: its user has no rights on the database of PIER_DATABASE_URL",
    1049: "the database of PIER_DATABASE_URL is not there: make it, or name another one",
}
# A CHECK of the schema refused a row, which drivers report like a lost server.
_BROKEN_RULE: Final = frozenset({3819, 4025})
_LOCK_WAIT: Final = 5


class Transaction:
    """One running transaction. `now` is the database's time in milliseconds since 1970, read once."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.mysql = connection.dialect.name in MYSQL
        self._now: int | None = None

    @property
    def now(self) -> int:
        if self._now is None:
            # SQLite's clock is that of this host.
            self._now = int(self.run(_CLOCK).scalar_one()) if self.mysql else time.time_ns() // 1_000_000
        return self._now

    def run(self, statement: Executable, parameters: Any = None) -> CursorResult[Any]:
        return self.connection.execute(statement, parameters)


def inserted_id(result: CursorResult[Any]) -> int:
    """The id that an insert of one row was given."""
    key = result.inserted_primary_key
    assert key is not None  # noqa: S101  only called on inserts
    return int(key[0])


_ONE_SNAPSHOT = text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")  # of the next transaction alone
_CLOCK = text("SELECT CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)")


class Metadata:
    """One database. `current` once the schema was seen to be this version's; a later one may follow under load.

    `make_room` gives up reserved space when the disk is too full even for SQLite's working files, or a registry
    that starts on a full disk could neither be read nor freed.
    """

    def __init__(self, url: str, make_room: Callable[[], object] = lambda: None) -> None:
        self.make_room = make_room
        self.url = make_url(url)
        self.current = False
        self.sqlite = self.url.get_backend_name() == "sqlite"
        self.engine = _sqlite_engine(self.url) if self.sqlite else _mysql_engine(self.url)
        self._glances = Glances(self._connect) if self.sqlite else None
        self._turn = _Turn(Path(self.url.database or "pier.sqlite3")) if self.sqlite else None

    def read(self, work: Callable[[Transaction], Result]) -> Result:
        """Run `work` on one snapshot, so that a tag and what it points at fit together; never takes a write lock.

        `work` may run more than once, as in `write`. Raises Busy, Unavailable.
        """
        return self._settled(lambda: self._look(work))

    def glance(self, statement: Select[Any], parameters: Mapping[str, str]) -> Sequence[Any] | None:
        """The first row of a single statement, which is a snapshot by itself: nothing is begun or ended.

        Raises Busy, Unavailable.
        """
        return self._settled(lambda: self._row(statement, parameters))

    def write(self, work: Callable[[Transaction], Result], *, preview: bool = False) -> Result:
        """Run `work` and commit; a preview is rolled back instead, and so cannot disagree with the act.

        `work` runs again, whole, on deadlock, lock time-out or a stale snapshot until 20 s have passed: it must do
        nothing but database work. Raises Busy, DiskFull, Unavailable; nothing is changed then.
        """
        return self._settled(lambda: self._once(work, preview))

    def _settled(self, attempt: Callable[[], Result]) -> Result:
        deadline = time.monotonic() + RETRY_FOR
        pause = 0.01
        while True:
            try:
                return attempt()
            except (DBAPIError, sqlite3.Error) as error:
                meaning = _meaning(error)
                if not isinstance(meaning, _Again):
                    raise meaning from error
                if time.monotonic() > deadline:
                    raise errors.Busy("the database is busy: try again") from None
            time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311  jitter
            pause = min(pause * 2, 0.2)

    def _row(self, statement: Select[Any], parameters: Mapping[str, str]) -> Sequence[Any] | None:
        if self._glances is not None:
            return self._glances.row(statement, parameters)
        with self._connect() as connection:
            return connection.execute(statement, parameters).first()

    def _look(self, work: Callable[[Transaction], Result]) -> Result:
        with self._connect() as connection, connection.begin():
            if not self.sqlite:
                connection.execute(_ONE_SNAPSHOT)
            return work(Transaction(connection))

    def _once(self, work: Callable[[Transaction], Result], preview: bool) -> Result:
        with self._writing() as connection, connection.begin() as transaction:
            result = work(Transaction(connection))
            if preview:
                transaction.rollback()
            return result

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        if self._turn is None:
            with self._connect() as connection:
                yield connection
            return
        with self._turn.taken(), self._connect() as connection:
            yield connection.execution_options(pier_write=True)

    def _connect(self) -> Connection:
        try:
            return self.engine.connect()
        except DBAPIError as error:
            if not isinstance(_meaning(error), errors.DiskFull):
                raise
        self.make_room()
        return self.engine.connect()

    def close(self) -> None:
        if self._glances is not None:
            self._glances.close()
        self.engine.dispose()


class _Again(Exception):
    """The database asks for the whole transaction once more."""


class _Turn:
    """Writers of one SQLite file, in this process and in others, one after the other."""

    def __init__(self, database: Path) -> None:
        self._path = database.with_name(database.name + ".lock")
        self._mutex = threading.Lock()

    @contextmanager
    def taken(self) -> Iterator[None]:
        if not self._mutex.acquire(timeout=RETRY_FOR):
            raise errors.Busy("the database is busy: try again")
        try:
            with self._path.open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
        finally:
            self._mutex.release()


def _meaning(error: DBAPIError | sqlite3.Error) -> Exception:
    """What a driver's error means to us; the error itself when it means a fault of ours."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, sqlite3.Error):
        return _sqlite_meaning(cause) or error
    code = cause.args[0] if cause is not None and cause.args else None
    if known := _known(code):
        return known
    lost = isinstance(error, OperationalError) and code not in _BROKEN_RULE
    if lost or (isinstance(error, DBAPIError) and error.connection_invalidated):
        return errors.Unavailable("the database does not answer: try again in a moment")
    return error


def _known(code: object) -> Exception | None:
    """By the numbers of MySQL and MariaDB."""
    if code in _TRY_AGAIN:
        return _Again()
    if code in _NO_TABLE:
        return errors.SchemaMismatch("the database's schema is not up to date: run `pier migrate`")
    if code in _FULL:
        return errors.DiskFull("the database's disk is full: free space on it")
    return errors.Unavailable(_LOGIN[code]) if isinstance(code, int) and code in _LOGIN else None


def _sqlite_meaning(cause: sqlite3.Error) -> Exception | None:
    code = getattr(cause, "sqlite_errorcode", 0)
    if code == sqlite3.SQLITE_CONSTRAINT_UNIQUE or code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return _Again()
    # A full disk shows as FULL, or as an I/O error when the WAL index cannot grow.
    if code & 0xFF == sqlite3.SQLITE_FULL or code in _SQLITE_NO_ROOM:
        return errors.DiskFull()
    if code & 0xFF in _SQLITE_UNUSABLE:
        return errors.Unavailable(f"the database cannot be used: {cause}")
    return None


_SQLITE_UNUSABLE = frozenset(
    {
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_CORRUPT,
    }
)
_SQLITE_NO_ROOM = frozenset(
    {
        sqlite3.SQLITE_IOERR_WRITE,
        sqlite3.SQLITE_IOERR_SHMSIZE,
        sqlite3.SQLITE_IOERR_FSYNC,
        sqlite3.SQLITE_IOERR_TRUNCATE,
    }
)


def _sqlite_engine(url: URL) -> Engine:
    # isolation_level None: SQLAlchemy, not the driver, says BEGIN.
    engine = create_engine(
        url, connect_args={"timeout": RETRY_FOR, "isolation_level": None}, pool_size=64, max_overflow=64
    )

    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _record: object) -> None:
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "wal_autocheckpoint=256"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("pier_write")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _mysql_engine(url: URL) -> Engine:
    engine = create_engine(
        url.update_query_dict({"charset": "utf8mb4"}),
        isolation_level="READ COMMITTED",
        pool_pre_ping=True,
        pool_recycle=1800,
        pool_size=32,
        max_overflow=32,
        connect_args={"connect_timeout": 5, "read_timeout": 30, "write_timeout": 30},
    )

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: object) -> None:
        with connection.cursor() as cursor:
            # UTC: the hour that comes twice in autumn would move every lease.
            cursor.execute("SET time_zone = '+00:00'")
            cursor.execute(f"SET innodb_lock_wait_timeout = {_LOCK_WAIT}")

    return engine
