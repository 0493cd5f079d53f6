"""Work that one process at a time may do, whoever it is: taken by compare-and-set on the database's clock."""

from __future__ import annotations

import os
import socket
from uuid import uuid4

from sqlalchemy import delete, or_, select, update

from pier_registry.metadata.schema import duty
from pier_registry.metadata.session import Transaction


def new_holder() -> str:
    """A name that nobody else has, short enough for its column whatever this host is called."""
    return f"{socket.gethostname()[:32]}:{os.getpid()}:{uuid4().hex[:8]}"


def take(tx: Transaction, name: str, holder: str, life: int) -> bool:
    """Take or keep a duty for `life` ms; False while another holds it."""
    free = or_(duty.c.until <= tx.now, duty.c.holder == holder)
    claim = update(duty).where(duty.c.name == name, free).values(holder=holder, until=tx.now + life)
    if tx.run(claim).rowcount:
        return True
    if tx.run(select(duty.c.name).where(duty.c.name == name)).first() is not None:
        return False
    tx.run(duty.insert().values(name=name, holder=holder, until=tx.now + life))
    return True


def lay_down(tx: Transaction, name: str, holder: str) -> None:
    tx.run(delete(duty).where(duty.c.name == name, duty.c.holder == holder))
