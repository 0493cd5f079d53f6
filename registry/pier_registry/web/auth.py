"""Who asks: Basic credentials, judged by remembered verdicts, then the throttle, then bcrypt; or a token got with them.

Every request is judged by the users file as it stands when the request begins, so a revoked user is out at once.
A throttled address cannot try its guesses on remembered verdicts: those help only who has shown them before.
With anonymous pull, no credentials name the anonymous caller, and so do empty ones, which some clients send instead.
"""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any, Final

from pier_registry import errors
from pier_registry.settings import Settings
from pier_registry.web.livefile import log
from pier_registry.web.rights import ANONYMOUS, User
from pier_registry.web.throttle import Throttle
from pier_registry.web.tokens import Token, Tokens
from pier_registry.web.users import Snapshot, Users
from pier_registry.web.verdicts import Flights, Verdicts

__all__ = ["Authenticator", "User", "client_address", "credentials"]

MAX_HEADER: Final = 10_000  # characters
NOBODY: Final = ("", "")  # user and password that stand for none
_UNIX_SOCKET: Final = frozenset({"", "unix", "unix:"})

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Authenticator:
    """One for the process; safe for threads. Without `tokens`, everybody has to log in."""

    def __init__(self, users: Users, throttle: Throttle, verdicts: Verdicts, tokens: Tokens | None = None) -> None:
        self._users = users
        self._throttle = throttle
        self._verdicts = verdicts
        self._tokens = tokens
        self._flights = Flights()

    @property
    def lets_anybody_pull(self) -> bool:
        return self._tokens is not None

    def authenticate(self, authorization: str | None, client: str) -> User:
        """`authorization` is the request's header, `client` the address failures are counted against.

        Raises Unauthorized, TooManyRequests.
        """
        user, password = self._said(authorization)
        if password is not None:
            self._log_in(user.name, password, client)
        return user

    def remembered(self, authorization: str | None, client: str) -> User | None:
        """As `authenticate`, but no password is tried or counted: None for one that would have to be.

        Raises Unauthorized.
        """
        user, password = self._said(authorization)
        if password is not None and not self._verdicts.holds_for(self._key(user.name, password)[0], client):
            return None
        return user

    def token(self, user: str, password: str, client: str) -> Token:
        """A token of this user, of the anonymous one when both are empty.

        Raises as `authenticate`, and RouteUnknown without anonymous pull: there is nothing here that takes a token.
        """
        if self._tokens is None:
            raise errors.RouteUnknown
        if (user, password) == NOBODY:
            return self._tokens.of_nobody()
        return self._tokens.of_user(user, self._log_in(user, password, client))

    def _said(self, authorization: str | None) -> tuple[User, str | None]:
        """Who the header names, and by which password; None where a token has proven it, or there is nobody to be."""
        if self._tokens is not None and (text := bearer(authorization)):
            return self._tokens.bearer(text, self._users.current().hashes), None
        user, password = credentials(authorization)
        if self._tokens is not None and (user, password) == NOBODY:
            return ANONYMOUS, None
        return User(user), password

    def _key(self, user: str, password: str) -> tuple[bytes, Snapshot]:
        """What the verdict is remembered by, under the users file of this moment. Raises Unauthorized."""
        if not user or "\0" in user:
            raise errors.Unauthorized
        snapshot = self._users.current()
        return self._verdicts.key(snapshot.version, user, password), snapshot

    def _log_in(self, user: str, password: str, client: str) -> bytes:
        """The stored hash that the password fits."""
        key, snapshot = self._key(user, password)
        if not self._verdicts.holds_for(key, client):
            self._throttle.check(client, user)
            if not self._flights.share(key, lambda: self._try(key, snapshot, (user, password), client)):
                log.info("login failed", extra={"client": client, "user": user[:64]})
                raise errors.Unauthorized
            self._verdicts.remember_client(key, client)
        return snapshot.hashes[user]

    def _try(self, key: bytes, snapshot: Snapshot, credential: tuple[str, str], client: str) -> bool:
        if self._verdicts.holds(key):
            return True
        attempt = self._throttle.charge(client, credential[0])
        good = snapshot.verify(*credential)
        if good:
            self._verdicts.remember(key)
            self._throttle.forgive(attempt)
        return good


def credentials(authorization: str | None) -> tuple[str, str]:
    """User and password of a Basic header (RFC 7617, UTF-8), both empty without one. Raises Unauthorized for others."""
    if not authorization:
        return NOBODY
    scheme, encoded = _parts(authorization)
    if scheme != "basic":
        raise errors.Unauthorized
    try:
        decoded = base64.b64decode(encoded, validate=True).decode()
    except ValueError:
        raise errors.Unauthorized from None
    user, colon, password = decoded.partition(":")
    if not colon:
        raise errors.Unauthorized
    return user, password


def bearer(authorization: str | None) -> str:
    """The token of a Bearer header (RFC 6750); empty for any other."""
    scheme, text = _parts(authorization or "")
    return text if scheme == "bearer" else ""


def _parts(authorization: str) -> tuple[str, str]:
    """The scheme in lower case, and what follows it; nothing of a header that is too long."""
    if len(authorization) > MAX_HEADER:
        return "", ""
    scheme, _, rest = authorization.strip().partition(" ")
    return scheme.lower(), rest.strip()


def client_address(environ: Mapping[str, Any], settings: Settings) -> str:
    """The address a WSGI request comes from.

    On the unix socket only our own proxy speaks, and its X-Pier-Client names its peer; over TCP it is the peer,
    and that header is ignored. A peer among the trusted proxies is believed its X-Forwarded-For: the right-most
    entry that is no trusted proxy.
    """
    peer = str(environ.get("REMOTE_ADDR") or "")
    if peer in _UNIX_SOCKET:
        peer = str(environ.get("HTTP_X_PIER_CLIENT") or "unix")
    return _first_untrusted(peer, str(environ.get("HTTP_X_FORWARDED_FOR") or ""), settings.trusted_proxies)


@lru_cache(maxsize=256)  # the header may be long
def _first_untrusted(peer: str, forwarded_for: str, proxies: tuple[str, ...]) -> str:
    trusted = _parsed(proxies)
    said = forwarded_for.split(",")
    address = _address(peer)
    while address is not None and said and _is_in(address, trusted):
        before = _address(said.pop())
        if before is None:
            break
        address = before
    return peer if address is None else str(address)


@lru_cache(maxsize=4096)
def _address(text: str) -> Address | None:
    """`192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]:80`; None for anything else."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, ipaddress.IPv6Address) else address


def _is_in(address: Address, trusted: tuple[Network, ...]) -> bool:
    return any(address in network for network in trusted)


@cache
def _parsed(trusted: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(each) for each in trusted)
