"""The schema's version, compared with the code's; without Alembic, which only a migration needs in memory."""

from __future__ import annotations

import re
from importlib import resources
from typing import Final, Literal

import sqlalchemy as sa

from pier_registry.errors import Misconfigured
from pier_registry.metadata.session import Metadata, Transaction

State = Literal["current", "behind"]
_FILE: Final = re.compile(r"v(\d{4})_\w+\.py")
_TABLE: Final = sa.table("alembic_version", sa.column("version_num", sa.String))


def state(metadata: Metadata) -> State:
    """Raises Misconfigured when the schema is newer than this version of Pier, Unavailable."""
    known = _known()
    found = metadata.read(_found)
    if found == known[-1]:
        metadata.current = True
        return "current"
    if found is not None and found not in known:
        raise Misconfigured(
            f"the database's schema ({found}) is newer than this version of Pier: run the newer version, "
            "or restore the backup that was taken before the upgrade"
        )
    return "behind"


def _known() -> list[str]:
    """The numbers of all versions, the newest last: `v0002_oci.py` is 0002."""
    folder = resources.files("pier_registry.metadata.migrations") / "versions"
    return sorted(
        file.name[1:5] for file in folder.iterdir() if file.name.startswith("v") and file.name.endswith(".py")
    )


def _found(tx: Transaction) -> str | None:
    if not sa.inspect(tx.connection).has_table(_TABLE.name):
        return None
    found: str | None = tx.connection.execute(sa.select(_TABLE.c.version_num)).scalar()
    return found
