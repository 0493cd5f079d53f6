"""Time that passes at once: every time in rows and files moves into the past."""

from __future__ import annotations

import os
import time as clock
from typing import Final

from sqlalchemy import update

from pier_registry.actions import reclaim
from pier_registry.actions.registry import Registry
from pier_registry.metadata import schema
from pier_registry.metadata.session import Transaction

TIMES: Final = {
    schema.lease: ("born", "until"),
    schema.upload: ("started", "touched"),
    schema.pending_image: ("touched",),
    schema.push_session: ("born", "touched"),
    schema.outbox: ("not_before",),
    schema.repository: ("touched",),
    schema.image: ("created",),
    schema.duty: ("until",),
    schema.event: ("at",),
}
MINUTE: Final = 60
HOUR: Final = 3600
DAY: Final = 86400


def time(registry: Registry, seconds: float) -> None:
    """Everything is `seconds` older."""

    def work(tx: Transaction) -> None:
        for table, columns in TIMES.items():
            tx.run(update(table).values({name: table.c[name] - int(seconds * 1000) for name in columns}))

    registry.metadata.write(work)
    for area in ("layers", "uploads"):
        for path in (registry.settings.data / area).rglob("*"):
            modified = path.stat().st_mtime - seconds
            os.utime(path, (modified, modified))


def leases(registry: Registry) -> None:
    """All promises end."""
    time(registry, registry.settings.lease + 1)


def everything(registry: Registry) -> None:
    """Promises, uploads and sessions end, and all of it is worked off."""
    for _ in range(3):  # leases, then what they held, then the files of both
        time(registry, 2 * DAY)
        reclaim.work_off(registry)


def wait(seconds: float) -> None:
    """Time that really passes."""
    clock.sleep(seconds)
