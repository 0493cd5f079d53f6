"""What an engine with networks does to its host, undone: its chains, its bridge, forwarding and the FORWARD policy.

Only what it added is taken away, so that other users of the host's rules keep theirs.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.parts import cache

_FORWARDING: Final = Path("/proc/sys/net/ipv4/ip_forward")
_TABLES: Final = ("filter", "nat")
_BRIDGE: Final = "docker0"


@contextmanager
def host_rules_kept() -> Iterator[None]:
    rules = {table: _rules(table) for table in _TABLES}
    forwarding = _FORWARDING.read_text()
    had_bridge = _bridge_exists()
    try:
        yield
    finally:
        for table, before in rules.items():
            _restore(table, before)
        _FORWARDING.write_text(forwarding)
        if _bridge_exists() and not had_bridge:
            subprocess.run([cache.program("ip"), "link", "delete", _BRIDGE], check=True)


def undoing(before: list[str], after: list[str]) -> list[str]:
    """Arguments for iptables that take Docker's additions away, from two outputs of `iptables -S`.

    Rules go before the chains they jump to, and chains are emptied before they are deleted.
    """
    added = [line for line in after if line not in before and re.search(r"DOCKER|docker0", line)]
    rules = [f"-D{line[2:]}" for line in added if line.startswith("-A")]
    chains = [line[3:] for line in added if line.startswith("-N")]
    policies = [line for line in before if line.startswith("-P") and line not in after]
    return [*rules, *(f"-X {chain}" for chain in chains), *policies]


def _restore(table: str, before: list[str]) -> None:
    for arguments in undoing(before, _rules(table)):
        subprocess.run([cache.program("iptables"), "--wait", "-t", table, *arguments.split()], check=True)


def _rules(table: str) -> list[str]:
    command = [cache.program("iptables"), "--wait", "-t", table, "-S"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def _bridge_exists() -> bool:
    return Path("/sys/class/net", _BRIDGE).exists()
