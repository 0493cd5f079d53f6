"""A start that finds no database: it waits for one that is on its way, and says what is wrong with one that is not."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts import mariadb
from tests.parts.database import DatabaseServer
from tests.parts.registry import PIER, Running, configured


@pytest.fixture(scope="module")
def server() -> Iterator[DatabaseServer]:
    with mariadb.running() as running:
        running.create_database("starting")
        yield running


@pytest.fixture
def unstarted(server: DatabaseServer, tmp_path: Path) -> Iterator[Running]:
    made = configured(tmp_path / "data", database_url=server.tcp_url("starting"))
    made.pier("migrate")
    yield made
    made.stop()


def test_it_waits_for_a_database_that_comes_up_after_it(server: DatabaseServer, unstarted: Running) -> None:
    server.stop()
    coming = threading.Thread(target=_start_when_missed, args=(server, unstarted.log))
    coming.start()
    unstarted.start()
    coming.join()
    with unstarted.client() as client:
        assert client.get("/v2/").status_code == 200


def _start_when_missed(server: DatabaseServer, log: Path) -> None:
    deadline = time.monotonic() + 60
    while "the database does not answer" not in (log.read_text() if log.exists() else ""):
        if time.monotonic() > deadline:
            break
        time.sleep(0.1)
    server.start()


def test_a_migration_waits_too(server: DatabaseServer, unstarted: Running) -> None:
    server.stop()
    coming = threading.Timer(3, server.start)
    coming.start()
    done = unstarted.pier("migrate", "--wait", "60")
    coming.join()
    assert done.stdout == "the database was up to date\n"


def test_it_ends_when_it_has_waited_as_long_as_it_may(server: DatabaseServer, unstarted: Running) -> None:
    server.stop()
    try:
        unstarted.environment["PIER_DATABASE_WAIT"] = "1s"
        done = unstarted.pier("serve", check=False)
        assert done.returncode == 1
        assert done.stderr.splitlines()[-1] == "pier: the database does not answer: try again in a moment"
    finally:
        server.start()


def test_a_signal_ends_the_wait(server: DatabaseServer, unstarted: Running) -> None:
    server.stop()
    try:
        with subprocess.Popen([*PIER, "serve"], env=unstarted.environment, stderr=subprocess.PIPE) as waiting:
            assert waiting.stderr
            assert any(b"does not answer" in line for line in waiting.stderr)
            began = time.monotonic()
            waiting.terminate()
            assert waiting.wait(timeout=30) == 0
        assert time.monotonic() - began < 20  # the wait itself is a minute
    finally:
        server.start()


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (":", ":wrong", "the database refuses the login: check user and password of PIER_DATABASE_URL"),
        ("/starting", "/absent", "is not there: make it, or name another one"),
    ],
)
def test_what_is_wrong_with_the_url_is_said(
    server: DatabaseServer, unstarted: Running, before: str, after: str, told: str
) -> None:
    url = server.tcp_url("starting")
    place = url.rindex(before, 0, url.index("@")) if before == ":" else url.rindex(before)
    unstarted.environment["PIER_DATABASE_URL"] = url[:place] + after + url[place + len(before) :]
    done = unstarted.pier("migrate", check=False)
    assert done.returncode == 1
    assert told in done.stderr
    assert server.password not in done.stderr
