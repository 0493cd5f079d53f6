"""What the operator asks of nodes and what they answer: the words that both sides write and read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from pier_operator import x509

TRUSTED: Final = "Trusted"
# Beside the claims: every registry that asks has been looked at, so what is not there is not wanted.
COMPLETE: Final = "complete"
# The one repository that the agents' user may pull from.
REPOSITORY: Final = "pier-nodes"
_LABEL: Final = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
_HOST: Final = re.compile(rf"(?P<name>{_LABEL}(?:\.{_LABEL})*)(?::(?P<port>[1-9][0-9]{{0,4}}))?")
_LONGEST: Final = 253
_MESSAGE: Final = 300


@dataclass(frozen=True, slots=True)
class Claim:
    """A registry that nodes shall trust.

    `host` is what images are named with, with a port unless that is 443. `authorities` are its CAs in PEM. The user may
    log in, and pull nothing that is there.
    """

    host: str
    authorities: str
    user: str
    password: str

    @property
    def address(self) -> tuple[str, int]:
        name, _, port = self.host.partition(":")
        return name, int(port or 443)

    @property
    def mark(self) -> str:
        """Another one for any other claim."""
        return sha256(self.text().encode()).hexdigest()[:16]

    def text(self) -> str:
        told = {"host": self.host, "ca": self.authorities, "user": self.user, "password": self.password}
        return json.dumps(told, sort_keys=True)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one node says of one claim, which `mark` names. `reason` is TRUSTED, or what `message` tells more of."""

    mark: str
    reason: str
    message: str = ""


def read(text: str) -> Claim:
    """Raises ValueError for what is no claim."""
    try:
        told = json.loads(text)
        return Claim(str(told["host"]), str(told["ca"]), str(told["user"]), str(told["password"]))
    except (TypeError, KeyError) as wrong:
        raise ValueError(f"no claim: {wrong}") from None


def is_host(host: str) -> bool:
    """A name or an IPv4 address in lower case, perhaps with a port: good for the name of a folder, too."""
    found = _HOST.fullmatch(host)
    return found is not None and len(found["name"]) <= _LONGEST and int(found["port"] or 443) < 1 << 16


def is_allowed(patterns: Iterable[str], host: str) -> bool:
    """By an exact name, or by `*.` and all but its first label; the port does not matter."""
    return x509.covers(patterns, host.partition(":")[0])


def report(verdicts: Mapping[str, Verdict]) -> str:
    """What a node tells, by host; the same for the same verdicts."""
    told = {host: [each.mark, each.reason, each.message[:_MESSAGE]] for host, each in verdicts.items()}
    return json.dumps(told, sort_keys=True)


def told(text: str) -> dict[str, Verdict]:
    """What a report says; nothing of one that cannot be read."""
    try:
        return {str(host): Verdict(*map(str, each)) for host, each in json.loads(text).items()}
    except (ValueError, TypeError, AttributeError):
        return {}
