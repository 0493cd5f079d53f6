"""A bridge of one's own for an engine's containers, so that engines that run at once do not share one."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tests.parts import cache

# From the block that RFC 5737 keeps for examples: fourteen hosts each.
_BRIDGES: Final = tuple((f"pier-images-{number}", f"198.51.100.{16 * number + 1}/28") for number in range(16))


@contextmanager
def own_bridge() -> Iterator[str]:
    """Its name; it is gone after the block."""
    name, address = next(pair for pair in _BRIDGES if _ip("link", "add", pair[0], "type", "bridge") == 0)
    try:
        assert _ip("address", "add", address, "dev", name) == 0
        assert _ip("link", "set", name, "up") == 0
        yield name
    finally:
        assert _ip("link", "delete", name) == 0


def _ip(*arguments: str) -> int:
    """The exit code; adding what is there already fails."""
    return subprocess.run([cache.program("ip"), *arguments], capture_output=True, timeout=60, check=False).returncode
