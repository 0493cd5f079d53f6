"""`python -m pier_registry.preparing`: what comes before the first worker, in a process that ends."""

from __future__ import annotations

import logging
import sys

from pier_registry import logs
from pier_registry.app import open_registry
from pier_registry.errors import PierError
from pier_registry.metadata import migrate, version
from pier_registry.patience import patiently
from pier_registry.proxy.runner import Signals
from pier_registry.settings import Settings

log = logging.getLogger("pier.app")


def prepare(settings: Settings) -> None:
    """SQLite is brought up to date, a database newer than this code is refused."""
    registry = open_registry(settings)
    try:
        if version.state(registry.metadata) == "current":
            return
        if registry.metadata.sqlite:
            migrate.upgrade(registry.metadata)
        else:
            log.warning("the database's schema is not up to date: run `pier migrate`")
    finally:
        registry.metadata.close()


def main() -> int:
    """The exit code; a refusal is one sentence on standard error."""
    logs.to_stderr()
    signals = Signals.caught()
    try:
        settings = Settings.load()
        patience = 0 if settings.database.startswith("sqlite:") else settings.database_wait
        patiently(lambda: prepare(settings), patience, signals.wait)
    except PierError as wrong:
        print(f"pier: {wrong.message}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
