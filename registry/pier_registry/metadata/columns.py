"""Column types that behave the same on SQLite, MariaDB and MySQL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Integer, LargeBinary, String
from sqlalchemy.dialects import mysql
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

MYSQL = ("mysql", "mariadb")

Id = BigInteger().with_variant(Integer(), "sqlite")
Milliseconds = BigInteger()
Bytes = BigInteger()
Body = LargeBinary().with_variant(mysql.MEDIUMBLOB(), *MYSQL)


class Exact(TypeDecorator[str]):
    """Text compared byte for byte: MariaDB's default collation takes `v1`, `V1` and `v1 ` for one tag."""

    impl = String
    cache_ok = True

    def __init__(self, length: int) -> None:
        super().__init__(length)
        self.length = length

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name in MYSQL:
            return dialect.type_descriptor(mysql.VARBINARY(self.length))
        return dialect.type_descriptor(String(self.length))

    def process_bind_param(self, value: str | None, dialect: Dialect) -> Any:
        if value is None or dialect.name not in MYSQL:
            return value
        return value.encode()

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:
        return value.decode() if isinstance(value, bytes) else value
