"""One round of the agent: read what is asked for, keep the files, try each registry, say how it went."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pier_operator import x509
from pier_operator.claim import COMPLETE, TRUSTED, Claim, Verdict, is_allowed, is_host, read
from pier_operator.nodes import pulling
from pier_operator.nodes.files import Files, Foreign, Place

_KEEP: Final = 600.0  # seconds that a good answer holds
_FIRST: Final = 1.0
_LONGEST: Final = 30.0

_log = logging.getLogger("pier.nodes")


@dataclass(slots=True)
class _Memory:
    verdict: Verdict
    until: float
    faults: int


@dataclass(slots=True)
class Agent:
    """`folder` is the mounted Secret. `allowed` is what the cluster's admin lets nodes trust, whatever is asked for."""

    folder: Path
    files: Files
    allowed: tuple[str, ...]
    ask: Callable[[Claim], Verdict] = pulling.verdict
    clock: Callable[[], float] = time.monotonic
    _memories: dict[str, _Memory] = field(default_factory=dict)

    def round(self) -> dict[str, Verdict] | None:
        """What there is to tell of each host; None while nothing is known, when all files stay as they are."""
        claims = asked_for(self.folder)
        if claims is None:
            return None
        refused = {host: trouble for host, each in claims.items() if (trouble := self._refusal(each))}
        troubles = {host: self._kept(each) for host, each in claims.items() if host not in refused}
        self._swept(frozenset(troubles))
        troubles |= refused
        for host in self._memories.keys() - claims.keys():
            del self._memories[host]
        return {host: troubles[host] or self._tried(each) for host, each in claims.items()}

    def _refusal(self, claim: Claim) -> Verdict | None:
        """The operator has looked at this before; but a node believes nobody."""
        if not is_host(claim.host) or not is_allowed(self.allowed, claim.host):
            text = f"the chart's nodeTrust.allowedHosts does not have {claim.host[:100]}"
            return Verdict(claim.mark, "NotAllowed", text)
        if not x509.certificates(claim.authorities):
            return Verdict(claim.mark, "NoCertificate", f"no CA of {claim.host} can be read")
        return None

    def _kept(self, claim: Claim) -> Verdict | None:
        """What one runtime refuses keeps nothing from another. Returns the first trouble."""
        troubles = [self._placed(place, claim) for place in self.files.places]
        return next((each for each in troubles if each), None)

    def _placed(self, place: Place, claim: Claim) -> Verdict | None:
        try:
            if self.files.keep(place, claim.host, claim.authorities):
                _log.info("%s: its CA was written below %s", claim.host, place.root)
                self._memories.pop(claim.host, None)
        except Foreign as foreign:
            return Verdict(claim.mark, "FileTaken", str(foreign))
        except OSError as wrong:
            text = f"{wrong.filename or place.root / claim.host} cannot be written: {wrong.strerror or wrong}"
            return Verdict(claim.mark, "NotWritten", text)
        return None

    def _swept(self, wanted: frozenset[str]) -> None:
        try:
            for path in self.files.sweep(wanted):
                _log.info("%s was removed", path)
        except OSError as wrong:
            _log.warning("not removed: %s", wrong)

    def _tried(self, claim: Claim) -> Verdict:
        """The last answer while it holds, else a new one: after bad ones each time later."""
        known, now = self._memories.get(claim.host), self.clock()
        same = known is not None and known.verdict.mark == claim.mark
        if known and same and now < known.until:
            return known.verdict
        found = self.ask(claim)
        faults = 0 if found.reason == TRUSTED else (known.faults if known and same else 0) + 1
        wait = min(_FIRST * 2 ** (faults - 1), _LONGEST) if faults else _KEEP
        self._memories[claim.host] = _Memory(found, self.clock() + wait, faults)
        if known is None or known.verdict != found:
            _log.info("%s: %s %s", claim.host, found.reason, found.message)
        return found


def asked_for(folder: Path) -> Mapping[str, Claim] | None:
    """Claims by host, each host of one claim only; None while the operator has not told of all of them.

    A kubelet puts a new folder into the place of the old one, so all files are of one moment.
    """
    try:
        current = (folder / "..data").resolve(strict=True) if (folder / "..data").exists() else folder
        texts = {path.name: path.read_text(encoding="utf-8") for path in current.iterdir() if path.is_file()}
        claims = [read(text) for name, text in texts.items() if name != COMPLETE]
    except (OSError, ValueError) as wrong:
        _log.warning("what is asked for cannot be read: %s", wrong)
        return None
    if COMPLETE not in texts:
        return None
    counts = Counter(each.host for each in claims)
    return {each.host: each for each in claims if counts[each.host] == 1}
