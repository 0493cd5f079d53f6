"""The schema, brought up to the code's version by one process at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from sqlalchemy.schema import CreateTable

from pier_registry.errors import Busy, Unavailable
from pier_registry.metadata import duties
from pier_registry.metadata.schema import duty
from pier_registry.metadata.session import Metadata, Transaction
from pier_registry.metadata.version import state

_DUTY: Final = "migrate"
_LIFE: Final = 60_000
_RENEWAL: Final = 15.0
_PATIENCE: Final = 120.0


def upgrade(metadata: Metadata) -> bool:
    """Bring the schema up to the code; False when it was already. Can be run again after a kill half-way.

    Raises Busy when another process migrates for longer than two minutes.
    """
    if state(metadata) == "current":
        return False
    metadata.write(lambda tx: tx.run(CreateTable(duty, if_not_exists=True)))
    with _alone(metadata):
        if state(metadata) == "current":
            return False
        _run(metadata)
    return True


@contextmanager
def _alone(metadata: Metadata) -> Iterator[None]:
    """Hold the duty, renewed as long as the block runs: after a kill the next run waits a minute at most."""
    holder = duties.new_holder()
    _take(metadata, holder)
    done = threading.Event()
    renewing = threading.Thread(target=_renew, args=(metadata, holder, done), name="migrate", daemon=True)
    renewing.start()
    try:
        yield
    finally:
        done.set()
        renewing.join()
        metadata.write(lambda tx: duties.lay_down(tx, _DUTY, holder))


def _renew(metadata: Metadata, holder: str, done: threading.Event) -> None:
    while not done.wait(_RENEWAL):
        with suppress(Unavailable):
            metadata.write(lambda tx: duties.take(tx, _DUTY, holder, _LIFE))


def _take(metadata: Metadata, holder: str) -> None:
    deadline = time.monotonic() + _PATIENCE

    def work(tx: Transaction) -> bool:
        return duties.take(tx, _DUTY, holder, _LIFE)

    while not metadata.write(work):
        if time.monotonic() > deadline:
            raise Busy("another process is migrating the database: wait for it")
        time.sleep(0.2)


def _run(metadata: Metadata) -> None:
    config = _config()
    with metadata.engine.connect() as connection:
        connection.execution_options(pier_write=True)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    return config
