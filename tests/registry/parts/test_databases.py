"""The database servers that other tests stand on keep what they promise."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from sqlalchemy import create_engine, text

from tests.parts import mariadb, mysql
from tests.parts.database import DatabaseServer

Running = Callable[..., AbstractContextManager[DatabaseServer]]
both_kinds = pytest.mark.parametrize("running", [mariadb.running, mysql.running], ids=["mariadb", "mysql"])


def one_row(url: str, statement: str) -> tuple[object, ...]:
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            return tuple(connection.execute(text(statement)).one())
    finally:
        engine.dispose()


@pytest.fixture(params=["mariadb", "mysql"])
def server(request: pytest.FixtureRequest) -> DatabaseServer:
    shared: DatabaseServer = request.getfixturevalue(request.param)
    return shared


def test_a_new_database_is_reached_by_socket_and_by_port(server: DatabaseServer) -> None:
    by_socket = server.create_database("harbour")
    try:
        assert one_row(by_socket, "SELECT DATABASE()") == ("harbour",)
        assert one_row(server.tcp_url("harbour"), "SELECT DATABASE()") == ("harbour",)
    finally:
        server.drop_database("harbour")


def test_every_commit_is_on_the_disk_before_it_is_answered(server: DatabaseServer) -> None:
    assert server.execute("SELECT @@innodb_flush_log_at_trx_commit, @@innodb_flush_method") == ((1, "O_DIRECT"),)


def test_mysql_is_version_9(mysql: DatabaseServer) -> None:
    ((version,),) = mysql.execute("SELECT VERSION()")
    assert version.startswith("9.")


@both_kinds
def test_what_was_committed_outlives_a_kill_and_nothing_outlives_the_block(running: Running) -> None:
    with running() as server:
        url = server.create_database("harbour")
        server.execute("CREATE TABLE harbour.ship (name VARCHAR(20))")
        server.execute("INSERT INTO harbour.ship VALUES ('Argo')")
        server.kill()
        server.start()
        assert one_row(url, "SELECT name FROM ship") == ("Argo",)
        server.restart()
        assert one_row(url, "SELECT name FROM ship") == ("Argo",)
        process = server.process
    assert process is not None
    assert process.poll() is not None
    assert not server.home.exists()


@both_kinds
def test_a_server_that_does_not_start_tells_its_last_words(running: Running) -> None:
    with pytest.raises(AssertionError, match="no-such-option"), running("--no-such-option"):
        pass
