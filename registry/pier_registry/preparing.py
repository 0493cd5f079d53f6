"""`python -m pier_registry.preparing [--certificate]`: what comes before the first worker, in a process that ends."""

from __future__ import annotations

import argparse
import logging
import sys

from pier_registry import logs, pki
from pier_registry.app import open_registry
from pier_registry.errors import PierError
from pier_registry.metadata import migrate, version
from pier_registry.patience import patiently
from pier_registry.proxy.runner import Signals
from pier_registry.settings import Settings
from pier_registry.web import bootstrap
from pier_registry.web.users import Users

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
    parser = argparse.ArgumentParser(prog="python -m pier_registry.preparing")
    parser.add_argument("--certificate", action="store_true", help="see to the certificate, too")
    certificate = parser.parse_args().certificate
    logs.to_stderr()
    signals = Signals.caught()
    try:
        settings = Settings.load()
        if certificate:
            pki.ensure(settings)
        bootstrap.ensure_admin(settings)
        bootstrap.someone_can_log_in(Users(settings.users_file))
        patience = 0 if settings.database.startswith("sqlite:") else settings.database_wait
        patiently(lambda: prepare(settings), patience, signals.wait)
    except PierError as wrong:
        print(f"pier: {wrong.message}", file=sys.stderr)
        return 1
    except OSError as broken:
        print(f"pier: {broken.filename or 'the system'}: {broken.strerror or broken}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
