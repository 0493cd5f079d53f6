"""Tokens of v2 clients: short-lived proof that the caller's password was right, or that there was none.

    base64url(JSON {"user": name, "until": seconds since 1970}) . base64url(HMAC-SHA256)

The signature covers the user's stored password hash, too, so a token ends with the password it was got with. It
names the caller and nothing else: rights are judged at every request.
"""

from __future__ import annotations

import base64
import hmac
import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pier_registry import errors
from pier_registry.settings import Settings
from pier_registry.web.livefile import one_writer, read_whole, replace
from pier_registry.web.rights import ANONYMOUS, User

LIFETIME: Final = 300  # seconds
LEEWAY: Final = 60  # seconds that a token lives on, for clients that keep it to the last or whose clock is behind
_KEY_BYTES: Final = 32
_NOBODY: Final = ""

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Token:
    """`issued` in seconds since 1970."""

    text: str
    issued: float


class Tokens:
    """Signs and reads tokens; those of another key are worth nothing."""

    def __init__(self, key: bytes, *, clock: Clock = time.time) -> None:
        self._key = key
        self._clock = clock

    def of_user(self, name: str, stored: bytes) -> Token:
        """`stored` is the line's hash that the user's password was checked against."""
        return self._issue(name, stored)

    def of_nobody(self) -> Token:
        return self._issue(_NOBODY, b"")

    def bearer(self, text: str, hashes: Mapping[str, bytes]) -> User:
        """Whom the token names; `hashes` are those of the users file as it is now. Raises Unauthorized."""
        said, _, signature = text.encode().partition(b".")
        name, until = _claims(said)
        stored = b"" if name == _NOBODY else hashes.get(name)
        if stored is None or not hmac.compare_digest(self._signed(said, stored), signature):
            raise errors.Unauthorized
        if until + LEEWAY <= self._clock():
            raise errors.Unauthorized
        return ANONYMOUS if name == _NOBODY else User(name)

    def _issue(self, name: str, stored: bytes) -> Token:
        now = self._clock()
        said = _text(json.dumps({"user": name, "until": int(now) + LIFETIME}).encode())
        return Token(b".".join((said, self._signed(said, stored))).decode(), now)

    def _signed(self, said: bytes, stored: bytes) -> bytes:
        """Neither part holds a NUL."""
        return _text(hmac.digest(self._key, said + b"\0" + stored, "sha256"))


def of(settings: Settings) -> Tokens | None:
    """Only a registry with anonymous pull needs tokens. Raises Misconfigured when the key cannot be had."""
    return Tokens(_key(settings.token_key)) if settings.anonymous_pull else None


def _key(path: Path) -> bytes:
    """The same for all workers, and after a restart: whoever comes first makes it."""
    with one_writer(path):
        if not path.exists():
            replace(path, secrets.token_bytes(_KEY_BYTES))
    key = read_whole(path)
    if len(key) != _KEY_BYTES:
        raise errors.Misconfigured(f"{path} is no key of {_KEY_BYTES} bytes: delete it, and a new one is made")
    return key


def _text(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def _claims(said: bytes) -> tuple[str, int]:
    """Unproven until the signature is checked. Raises Unauthorized."""
    try:
        held: Any = json.loads(base64.urlsafe_b64decode(said + b"=" * (-len(said) % 4)))
        name, until = held["user"], held["until"]
    except (ValueError, TypeError, LookupError, RecursionError):
        raise errors.Unauthorized from None
    if not isinstance(name, str) or not isinstance(until, int):
        raise errors.Unauthorized
    return name, until
