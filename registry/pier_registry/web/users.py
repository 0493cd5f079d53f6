"""Who has a password: `<data>/users.htpasswd`, one `user:bcrypt` a line, as `htpasswd -B` writes it.

Only bcrypt (`$2y$`, `$2b$`, `$2a$`) counts. Any other line is refused with a warning, the rest of the file works.
Blank lines and lines led by `#` are skipped; of two lines for one user the first counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Final

import bcrypt

from pier_registry import errors
from pier_registry.web.livefile import LiveFile, log, one_writer, read_whole, replace

MAX_PASSWORD: Final = 72  # bytes; bcrypt reads no further
DEFAULT_COST: Final = 12
RESERVED: Final = "anonymous"  # in the rights file: whoever sends no credentials, so no user can have the name

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,63}", re.ASCII)
_BCRYPT = re.compile(rb"\$2[aby]\$(0[4-9]|1[0-7])\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{31}")
_DUMMY_SALT: Final = b"." * 22


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One reading of the file. `version` is the sha256 of its bytes; `hashes` is never shown."""

    version: str = sha256(b"").hexdigest()
    hashes: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    refused: tuple[str, ...] = ()
    highest_cost: int = DEFAULT_COST

    def verify(self, user: str, password: str) -> bool:
        """Whether this is the user's password; every no costs as much as the dearest hash of the file."""
        secret = password.encode()
        stored = self.hashes.get(user)
        if stored is None or _impossible(secret):
            _burn(self.highest_cost)
            return False
        if bcrypt.checkpw(secret, stored):
            return True
        for cost in range(cost_of(stored), self.highest_cost):  # c + c + (c+1) + … doubles up to the highest
            _burn(cost)
        return False


class Users:
    """The users file as it is now. Unreadable: the last good one, and `stale`. Empty: nobody."""

    def __init__(self, path: Path) -> None:
        self._file = LiveFile(path, _snapshot, Snapshot())
        self._file.current()

    def current(self) -> Snapshot:
        return self._file.current()

    @property
    def path(self) -> Path:
        return self._file.path

    @property
    def refused(self) -> tuple[str, ...]:
        """Sentences naming line and user of what does not count, never the hash."""
        return self.current().refused

    @property
    def stale(self) -> bool:
        return bool(self.trouble)

    @property
    def trouble(self) -> str:
        """Why the file on disk is not the one in force; empty when it is."""
        self.current()
        return self._file.trouble


def cost_of(stored: bytes) -> int:
    return int(stored[4:6])


def check_name(name: str) -> str:
    """Raises Invalid."""
    if not _NAME.fullmatch(name):
        raise errors.Invalid(
            f"{name[:80]!r} cannot be a user name: use 1 to 64 letters, digits, '_', '.', '@', '+' or '-', "
            "led by a letter, digit or '_'"
        )
    return name


def hash_password(password: str, cost: int = DEFAULT_COST) -> bytes:
    """Raises Invalid as `check_password`."""
    return bcrypt.hashpw(check_password(password), bcrypt.gensalt(cost))


def check_password(password: str) -> bytes:
    """The password's bytes. Raises Invalid for one that bcrypt could not tell from another."""
    try:
        secret = password.encode()
    except UnicodeEncodeError:
        raise errors.Invalid("the password is not UTF-8: choose another one") from None
    if not secret:
        raise errors.Invalid("the password is empty: choose one")
    if b"\0" in secret:
        raise errors.Invalid("the password holds a NUL: choose one without")
    if _impossible(secret):
        raise errors.Invalid(f"the password has {len(secret)} bytes: choose one of at most {MAX_PASSWORD}")
    return secret


def add(path: Path, name: str, hashed: bytes, *, before: Callable[[], None] = lambda: None) -> None:
    """`before` runs when the name is known to be free and is not there yet: the place to set its rights.

    Raises Conflict when the name is taken, Invalid for the name, Misconfigured.
    """
    check_name(name)
    if name == RESERVED:
        raise errors.Invalid(f"{name} stands for whoever sends no credentials: choose another user name")
    with one_writer(path):
        lines = _lines(path)
        if any(_user(line) == name for line in lines):
            raise errors.Conflict(
                f"there is a user {name} already: change the password with `pier users passwd {name}`"
            )
        before()
        _write(path, [*lines, name.encode() + b":" + hashed])


def set_password(path: Path, name: str, hashed: bytes) -> None:
    """Raises Unknown for a user who is not there, Misconfigured."""
    with one_writer(path):
        lines = _lines(path)
        _write(path, _with_line(lines, name, hashed, _places(lines, name)))


def put(path: Path, name: str, hashed: bytes) -> None:
    """Add the user or change the password, whichever it takes. Raises Misconfigured."""
    with one_writer(path):
        lines = _lines(path)
        places = [place for place, line in enumerate(lines) if _user(line) == name]
        _write(path, _with_line(lines, name, hashed, places or [len(lines)]))


def remove(path: Path, name: str) -> None:
    """Raises Unknown for a user who is not there, Misconfigured."""
    with one_writer(path):
        lines = _lines(path)
        places = _places(lines, name)
        _write(path, [line for place, line in enumerate(lines) if place not in places])


def _impossible(secret: bytes) -> bool:
    return len(secret) > MAX_PASSWORD or b"\0" in secret


def _burn(cost: int) -> None:
    bcrypt.hashpw(b"", b"$2b$%02d$" % cost + _DUMMY_SALT)


def _snapshot(raw: bytes) -> Snapshot:
    hashes: dict[str, bytes] = {}
    refused: list[str] = []
    for number, line in enumerate(raw.removeprefix(b"\xef\xbb\xbf").splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith(b"#"):
            continue
        user, _, stored = line.partition(b":")
        name = user.decode(errors="replace")
        if why := _refusal(name, stored.rstrip(), hashes):
            refused.append(f"line {number}, user {name[:64]!r}: {why}")
        else:
            hashes[name] = stored.rstrip()
    for sentence in refused:
        log.warning("line of the users file refused", extra={"line": sentence})
    highest = max(map(cost_of, hashes.values()), default=DEFAULT_COST)
    return Snapshot(sha256(raw).hexdigest(), hashes, tuple(refused), highest)


def _refusal(name: str, stored: bytes, hashes: Mapping[str, bytes]) -> str:
    if not _NAME.fullmatch(name):
        return "this is not a user name followed by a colon"
    if name in hashes:
        return "an earlier line names this user and counts"
    if not _BCRYPT.fullmatch(stored):
        return f"not a usable bcrypt hash (cost 4 to 17): set the password with `pier users passwd {name}`"
    return ""


def _lines(path: Path) -> list[bytes]:
    return read_whole(path).splitlines()


def _user(line: bytes) -> str:
    return line.removeprefix(b"\xef\xbb\xbf").partition(b":")[0].decode(errors="replace") if b":" in line else ""


def _places(lines: list[bytes], name: str) -> list[int]:
    places = [place for place, line in enumerate(lines) if _user(line) == name]
    if not places:
        raise errors.Unknown(f"there is no user {name}: `pier users list` shows who there is")
    return places


def _with_line(lines: list[bytes], name: str, hashed: bytes, places: list[int]) -> list[bytes]:
    """The new line stands at the first of the places; the others are dropped."""
    kept = [line for place, line in enumerate(lines) if place not in places]
    kept.insert(places[0], name.encode() + b":" + hashed)
    return kept


def _write(path: Path, lines: list[bytes]) -> None:
    replace(path, b"".join(line + b"\n" for line in lines))
