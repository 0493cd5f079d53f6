"""Questions of one statement to SQLite, asked on the driver's own connections.

What SQLAlchemy does around a statement takes several times as long as SQLite does for one of these.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from typing import Any, Final

from sqlalchemy import Connection, Select
from sqlalchemy.dialects import sqlite

_NAMED: Final = sqlite.dialect(paramstyle="named")


class Glances:
    """Safe for threads: each takes a connection that is free, and keeps it for one statement."""

    def __init__(self, connect: Callable[[], Connection]) -> None:
        self._connect = connect
        self._free: list[sqlite3.Connection] = []
        self._questions: dict[Select[Any], tuple[str, Mapping[str, Any]]] = {}

    def row(self, statement: Select[Any], parameters: Mapping[str, str]) -> tuple[Any, ...] | None:
        """The first row, as the driver gives it. Raises sqlite3.Error, and DBAPIError where none can be opened."""
        text, constants = self._questions.get(statement) or self._compiled(statement)
        connection = self._taken()
        try:
            rows = connection.execute(text, {**constants, **parameters}).fetchall()  # to its end, or it stays open
        except BaseException:
            connection.close()
            raise
        self._free.append(connection)
        return rows[0] if rows else None

    def close(self) -> None:
        while self._free:
            self._free.pop().close()

    def _compiled(self, statement: Select[Any]) -> tuple[str, Mapping[str, Any]]:
        """Once for each, since the statements are constants of the program."""
        compiled = statement.compile(dialect=_NAMED)
        question = self._questions[statement] = str(compiled), compiled.params
        return question

    def _taken(self) -> sqlite3.Connection:
        try:
            return self._free.pop()
        except IndexError:
            return self._opened()

    def _opened(self) -> sqlite3.Connection:
        """Set up as all of the engine's are, and no longer one of its pool."""
        connection = self._connect()
        opened = connection.connection.driver_connection
        assert isinstance(opened, sqlite3.Connection)  # noqa: S101  of a SQLite engine
        connection.detach()
        return opened
