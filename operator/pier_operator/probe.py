"""Does a push work? Asked as a client would: through the Service, with the published CA, as user pier-probe."""

from __future__ import annotations

import base64
import http.client
import re
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from pier_operator import trust
from pier_operator.cache import Key
from pier_operator.plan.child import Condition
from pier_operator.plan.credentials import PROBE
from pier_operator.plan.htpasswd import PROBED
from pier_operator.plan.status import Figures

REACHABLE: Final = "EndpointReachable"
HOST: Final = "HostReachable"
_TIMEOUT: Final = 5.0
_KEEP: Final = 600.0  # seconds that a good answer holds
_FIRST: Final = 1.0
_LONGEST: Final = 30.0


@dataclass(frozen=True, slots=True)
class Target:
    """`address` is the Service's, or the host's own; `mark` changes with everything that could change the answer."""

    condition: str
    address: str
    port: int
    host: str
    authorities: str
    password: str
    read_only: bool
    mark: str


@dataclass(frozen=True, slots=True)
class Answer:
    """`wait` is when to ask again, in seconds."""

    condition: Condition
    wait: float


@dataclass(slots=True)
class _Memory:
    mark: str
    until: float
    condition: Condition
    faults: int


class Prober:
    """Remembers good answers, and asks again after bad ones, each time later."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._memories: dict[tuple[str, str, str], _Memory] = {}

    def ask(self, registry: Key, target: Target) -> Answer:
        key = (*registry, target.condition)
        known = self._memories.get(key)
        now = self._clock()
        if known and known.mark == target.mark and now < known.until:
            return Answer(known.condition, known.until - now)
        trouble = _trouble(target)
        faults = (known.faults + 1 if known and known.mark == target.mark else 1) if trouble else 0
        wait = min(_FIRST * 2 ** (faults - 1), _LONGEST) if trouble else _KEEP
        condition = Condition(target.condition, not trouble, *_told(trouble, target))
        self._memories[key] = _Memory(target.mark, now + wait, condition, faults)
        return Answer(condition, wait)

    def forget(self, registry: Key) -> None:
        for condition in (REACHABLE, HOST):
            self._memories.pop((*registry, condition), None)


def figures(address: str, port: int) -> Figures | None:
    """What a registry pod tells on its private port; None when it does not answer."""
    connection = http.client.HTTPConnection(address, port, timeout=_TIMEOUT)
    try:
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        text = answer.read().decode()
    except (OSError, http.client.HTTPException, UnicodeDecodeError):
        return None
    finally:
        connection.close()
    found = dict(line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))
    names = ("pier_layers_bytes", "pier_freed_bytes_total", "pier_pending_bytes", "pier_storage_free_bytes")
    if answer.status != 200 or not all(name in found for name in names):
        return None
    users = re.search(r'^pier_users_info\{sha256="([0-9a-f]{64})"\} 1', text, re.MULTILINE)
    used, reclaimed, pending, free = (int(float(found[name])) for name in names)
    return Figures(used, reclaimed, pending, free, users[1] if users else "")


def _told(trouble: str, target: Target) -> tuple[str, str]:
    if trouble:
        return "ProbeFailed", f"a push to {target.address} fails: {trouble}"
    if target.read_only:
        return "ReadOnly", f"{target.address} answers, and refuses pushes as asked for"
    return "Reachable", f"a push to {target.address} works"


def _trouble(target: Target) -> str:
    try:
        return _push(target)
    except ssl.SSLError as wrong:
        return f"the certificate is not accepted: {wrong.reason or wrong}"
    except (OSError, http.client.HTTPException) as wrong:
        return f"{target.address} does not answer: {wrong or type(wrong).__name__}"


def _push(target: Target) -> str:
    """Ping, begin an upload, take it back; nothing stays behind."""
    connection = _Connection(target)
    try:
        status, _ = connection.ask("GET", "/v2/")
        if status != 200:
            return f"GET /v2/ is answered with {status}"
        status, location = connection.ask("POST", f"/v2/{PROBED}/blobs/uploads/")
        if target.read_only:
            return "" if status == 405 else f"an upload is answered with {status}, though the registry is read-only"
        if status != 202:
            return f"the start of an upload is answered with {status}"
        parts = urlsplit(location)
        status, _ = connection.ask("DELETE", f"{parts.path}?{parts.query}" if parts.query else parts.path)
        return "" if status == 204 else f"the end of an upload is answered with {status}"
    finally:
        connection.close()


class _Connection:
    """To the Service's address, for the registry's own name."""

    def __init__(self, target: Target) -> None:
        trusting = trust.forgiving(ssl.create_default_context(cadata=target.authorities or None))
        plain = socket.create_connection((target.address, target.port), timeout=_TIMEOUT)
        try:
            wrapped = trusting.wrap_socket(plain, server_hostname=target.host)
        except BaseException:
            plain.close()
            raise
        self._connection = http.client.HTTPConnection(target.host, target.port, timeout=_TIMEOUT)
        self._connection.sock = wrapped
        basic = base64.b64encode(f"{PROBE}:{target.password}".encode()).decode()
        self._headers = {"Authorization": f"Basic {basic}", "User-Agent": "pier-operator"}

    def ask(self, method: str, path: str) -> tuple[int, str]:
        self._connection.request(method, path, headers={**self._headers, "Content-Length": "0"})
        answer = self._connection.getresponse()
        answer.read()
        return answer.status, answer.headers.get("Location", "")

    def close(self) -> None:
        self._connection.close()
