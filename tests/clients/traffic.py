"""What a client asked the registry for, from the access log of its front door."""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from tests.parts.registry import Running

LOGGED_WITHIN: Final = 10.0


@dataclass(frozen=True, slots=True)
class Request:
    """One line of the log; `received` counts the bytes of head and body."""

    method: str
    uri: str
    status: int
    received: int
    agent: str

    def __str__(self) -> str:
        return f"{self.method} {self.uri} {self.status}"


@contextmanager
def watched(registry: Running) -> Iterator[list[Request]]:
    """The requests that end within the block; the list is filled when the block has ended."""
    _, began = _until_now(registry, registry.log.stat().st_size)
    requests: list[Request] = []
    yield requests
    requests += _until_now(registry, began)[0]


def bodies(requests: Iterable[Request], repository: str) -> list[str]:
    """Requests that carried bytes of a blob to the repository."""
    begins = f"/v2/{repository}/blobs/"
    sending = [one for one in requests if one.method in {"PATCH", "PUT"} and one.uri.startswith(begins)]
    return [str(one) for one in sending]


def finished(requests: Iterable[Request], repository: str) -> set[str]:
    """Digests of the blobs that uploads to the repository ended with."""
    begins = f"/v2/{repository}/blobs/uploads/"
    done = [one for one in requests if one.method in {"PUT", "POST"} and one.uri.startswith(begins)]
    return {digest for one in done if one.status == 201 for digest in _named("digest", one.uri)}


def mounted(requests: Iterable[Request], repository: str) -> set[str]:
    """Digests of the blobs that were mounted into the repository."""
    begins = f"/v2/{repository}/blobs/uploads/"
    done = [one for one in requests if one.method == "POST" and one.uri.startswith(begins) and one.status == 201]
    return {digest for one in done for digest in _named("mount", one.uri)}


def deleted(requests: Iterable[Request], repository: str) -> list[str]:
    """References that manifests of the repository were deleted by."""
    begins = f"/v2/{repository}/manifests/"
    return [
        unquote(one.uri.removeprefix(begins))
        for one in requests
        if one.method == "DELETE" and one.uri.startswith(begins) and one.status == 202
    ]


def _named(parameter: str, uri: str) -> list[str]:
    return [unquote(value) for value in re.findall(rf"[?&]{parameter}=([^&]+)", uri)]


def _until_now(registry: Running, began: int) -> tuple[list[Request], int]:
    """With the place in the log behind them.

    A request of our own comes after all others: when its line is there, so are theirs.
    """
    mark = f"/v2/?{uuid.uuid4()}"
    registry.client().get(mark)
    deadline = time.monotonic() + LOGGED_WITHIN
    while time.monotonic() < deadline:
        log = registry.log.read_bytes()[began:]
        whole = log[: log.rfind(b"\n") + 1]
        requests = _read(whole)
        if any(one.uri == mark for one in requests):
            return [one for one in requests if one.uri != mark], began + len(whole)
        time.sleep(0.02)
    raise AssertionError("the front door wrote no line for a request")


def _read(log: bytes) -> list[Request]:
    """Lines of the front door; the registry's own lines have no method."""
    found = []
    for line in log.decode().splitlines():
        told = json.loads(line) if line.startswith("{") and line.endswith("}") else {}
        if "uri" in told and "method" in told:
            found.append(
                Request(told["method"], told["uri"], int(told["status"]), int(told["received"]), told["agent"])
            )
    return found
