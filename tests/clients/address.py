"""An address of this host that is not a loopback one: docker takes any certificate from those."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tests.parts import cache

# From the block that RFC 5737 keeps for examples, so nobody else has it.
ADDRESS: Final = "192.0.2.80"


@contextmanager
def own_address() -> Iterator[str]:
    """Until the end of the block."""
    _ip("replace")
    try:
        yield ADDRESS
    finally:
        _ip("delete")


def _ip(verb: str) -> None:
    subprocess.run([cache.program("ip"), "address", verb, f"{ADDRESS}/32", "dev", "lo"], check=True, timeout=60)
