"""Randomness, and the memory of which hash fits which password, so that bcrypt runs once for each."""

from __future__ import annotations

import hmac
import secrets
import string
import threading
from typing import Final

import bcrypt
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

COST: Final = 10
_LETTERS: Final = string.ascii_letters + string.digits
_LENGTH: Final = 32  # 190 bits


class SystemChance:
    """One for the process; safe for threads."""

    def __init__(self, cost: int = COST) -> None:
        self._cost = cost
        self._secret = secrets.token_bytes(32)
        self._fits: set[bytes] = set()
        self._lock = threading.Lock()

    def password(self) -> str:
        return "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))

    def key(self) -> ec.EllipticCurvePrivateKey:
        return ec.generate_private_key(ec.SECP256R1())

    def serial(self) -> int:
        return x509.random_serial_number()

    def hashed(self, password: str, known: str) -> str:
        """The known bcrypt hash when it fits the password, else a new one."""
        if known and self._remembers(password, known):
            return known
        stored = known if known and _fits(password, known) else _hash(password, self._cost)
        with self._lock:
            self._fits.add(self._mark(password, stored))
        return stored

    def _remembers(self, password: str, stored: str) -> bool:
        with self._lock:
            return self._mark(password, stored) in self._fits

    def _mark(self, password: str, stored: str) -> bytes:
        return hmac.digest(self._secret, f"{stored}\0{password}".encode(), "sha256")


def _fits(password: str, stored: str) -> bool:
    try:
        return bcrypt.checkpw(password.encode(), stored.encode())
    except ValueError:  # not a hash at all: somebody edited the file
        return False


def _hash(password: str, cost: int) -> str:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(cost)).decode()
