"""Ports that nobody else is given, whatever other processes start servers on this host at the same time.

A process has a block of ports of its own, until it ends. The blocks lie below the ports that the kernel hands to
clients, so no connection takes one before its server listens.
"""

from __future__ import annotations

import functools
import itertools
import socket
from collections.abc import Iterator
from typing import Final

from tests.parts import claims

_FIRST: Final = 12_000
_SIZE: Final = 400
_BLOCKS: Final = 50


def free_port() -> int:
    """Nobody listens there, and it comes again only after all the others of the block."""
    return next(port for port in itertools.islice(_ports(), _SIZE) if _is_free(port))


@functools.cache
def _ports() -> Iterator[int]:
    first = _block()
    return itertools.cycle(range(first, first + _SIZE))


def _block() -> int:
    """Its first port; it is ours until the process ends."""
    for number in range(_BLOCKS):
        if claims.claim(f"pier-ports-{number}"):
            return _FIRST + number * _SIZE
    raise AssertionError(f"{_BLOCKS} processes have a block of ports: end some of them")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("0.0.0.0", port))
        except OSError:
            return False
    return True
