"""What comes before the first worker, in a process that ends: what it needs in memory is not there for months."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from typing import Final

from pier_registry import child
from pier_registry.app import open_registry
from pier_registry.errors import Misconfigured, PierError
from pier_registry.metadata import version
from pier_registry.patience import patiently
from pier_registry.settings import Settings
from pier_registry.signals import Signals
from pier_registry.web import bootstrap
from pier_registry.web.users import Users

log = logging.getLogger("pier.app")

_TICK: Final = 0.02  # seconds


def prepare(settings: Settings) -> None:
    """SQLite is brought up to date, a database newer than this code is refused."""
    registry = open_registry(settings)
    try:
        if version.state(registry.metadata) == "current":
            return
        if registry.metadata.sqlite:
            from pier_registry.metadata import migrate

            migrate.upgrade(registry.metadata)
        else:
            log.warning("the database's schema is not up to date: run `pier migrate`")
    finally:
        registry.metadata.close()


def in_a_fork(settings: Settings, *, certificate: bool) -> bool:
    """Whether all is ready to be served; if it is not, it was said why, or a signal came.

    Raises Misconfigured when it was killed.
    """
    signals = Signals.caught()
    tie = child.tied_to(os.getpid(), signal.SIGTERM)
    process = multiprocessing.get_context("fork").Process(target=_forked, args=(settings, certificate, tie))
    process.start()
    stopped = False
    while (code := process.exitcode) is None:
        process.join(_TICK)
        if signals.wait(0):
            stopped = True
            process.terminate()
    signals.let_go()
    if code < 0 and not stopped:
        raise Misconfigured(f"the preparation was killed by signal {-code}: start pier serve again")
    return code == 0 and not stopped


def _forked(settings: Settings, certificate: bool, tie: Callable[[], None]) -> None:
    signals = Signals.caught()
    tie()
    try:
        if certificate:
            from pier_registry import pki  # it is to be in this process alone, as what else is imported late

            pki.ensure(settings)
        bootstrap.ensure_admin(settings)
        bootstrap.someone_can_log_in(Users(settings.users_file))
        patience = 0 if settings.database.startswith("sqlite:") else settings.database_wait
        patiently(lambda: prepare(settings), patience, signals.wait)
    except PierError as wrong:
        sys.exit(f"pier: {wrong.message}")
    except OSError as broken:
        sys.exit(f"pier: {broken.filename or 'the system'}: {broken.strerror or broken}")
