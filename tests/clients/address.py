"""An address of this host that is not a loopback one: docker takes any certificate from those."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tests.parts import cache

# From the block that RFC 5737 keeps for examples, so nobody else has them.
_ADDRESSES: Final = tuple(f"192.0.2.{number}" for number in range(1, 255))


@contextmanager
def own_address() -> Iterator[str]:
    """One that no other run has, until the end of the block."""
    address = next(address for address in _ADDRESSES if _ip("add", address).returncode == 0)
    try:
        yield address
    finally:
        _ip("delete", address).check_returncode()


def _ip(verb: str, address: str) -> subprocess.CompletedProcess[bytes]:
    """Adding one that is there already fails."""
    command = [cache.program("ip"), "address", verb, f"{address}/32", "dev", "lo"]
    return subprocess.run(command, capture_output=True, timeout=60, check=False)
