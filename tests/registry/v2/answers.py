"""What every answer under /v2/ owes its client; clients made here check it on each one that they get."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import httpx

from tests.parts.registry import Running
from tests.registry.protocol.doors import user

CRANE: Final = "crane/0.19.1 go-containerregistry/0.19.1"
DOCKER: Final = "docker/24.0.7 go/go1.20.10 git-commit/311b9ff kernel/6.1.0 os/linux arch/amd64 UpstreamClient(x)"
CONTAINERD: Final = "containerd/1.7.12"

SPEC_CODES: Final = frozenset({
    "BLOB_UNKNOWN", "BLOB_UPLOAD_INVALID", "BLOB_UPLOAD_UNKNOWN", "DIGEST_INVALID", "MANIFEST_BLOB_UNKNOWN",
    "MANIFEST_INVALID", "MANIFEST_UNKNOWN", "NAME_INVALID", "NAME_UNKNOWN", "SIZE_INVALID", "UNAUTHORIZED", "DENIED",
    "UNSUPPORTED", "TOOMANYREQUESTS",
})  # fmt: skip
# Not in the specification, but known to clients since the first v2 registry.
FURTHER_CODES: Final = frozenset({"RANGE_INVALID", "TAG_INVALID", "PAGINATION_NUMBER_INVALID", "UNAVAILABLE"})
STATUS_OF: Final = {
    "BLOB_UNKNOWN": {404}, "BLOB_UPLOAD_INVALID": {400, 409}, "BLOB_UPLOAD_UNKNOWN": {404}, "DIGEST_INVALID": {400},
    "MANIFEST_BLOB_UNKNOWN": {400}, "MANIFEST_INVALID": {400, 413}, "MANIFEST_UNKNOWN": {404}, "NAME_INVALID": {400},
    "NAME_UNKNOWN": {404}, "SIZE_INVALID": {400, 413}, "UNAUTHORIZED": {401}, "DENIED": {403},
    "TOOMANYREQUESTS": {429}, "RANGE_INVALID": {416}, "TAG_INVALID": {400}, "PAGINATION_NUMBER_INVALID": {400},
    "UNAVAILABLE": {503},
}  # fmt: skip


def lawful(answer: httpx.Response) -> None:
    """Raises AssertionError for an answer that no v2 registry may give."""
    if not answer.request.url.path.startswith("/v2"):
        return
    asked = f"{answer.request.method} {answer.request.url}: {answer.status_code}"
    assert answer.status_code < 500, asked
    assert answer.status_code not in {301, 302, 303, 307, 308}, asked
    assert answer.headers.get("Docker-Distribution-Api-Version") == "registry/2.0", asked
    assert answer.headers.get("Location", "/v2/").startswith("/v2/"), (asked, answer.headers["Location"])
    assert answer.headers.get("Link", "</v2/").startswith("</v2/"), (asked, answer.headers["Link"])
    if answer.status_code >= 400 and answer.request.method != "HEAD":
        answer.read()
        listed(answer, asked)


def listed(answer: httpx.Response, asked: str = "") -> list[dict[str, Any]]:
    """The errors of a refusal."""
    assert answer.headers.get("Content-Type") == "application/json", (asked, answer.status_code, answer.text[:300])
    body = answer.json()
    assert set(body) == {"errors"}, (asked, body)
    assert body["errors"], asked
    for each in body["errors"]:
        assert set(each) == {"code", "message", "detail"}, (asked, each)
        assert each["code"] in SPEC_CODES | FURTHER_CODES, (asked, each)
        assert answer.status_code in STATUS_OF.get(each["code"], {answer.status_code}), (asked, each)
        assert len(each["message"]) > 5, (asked, each)
    errors: list[dict[str, Any]] = body["errors"]
    return errors


def refusal(answer: httpx.Response) -> tuple[int, str]:
    """Status and first code."""
    return answer.status_code, listed(answer)[0]["code"]


def connect(running: Running, *, agent: str = CRANE) -> httpx.Client:
    """The admin, as a client of this kind."""
    return running.client(headers={"User-Agent": agent}, event_hooks={"response": [lawful]})


def connect_as(
    running: Running, name: str, role: str = "", repositories: str = "*", *, agent: str = CRANE
) -> httpx.Client:
    """A new user; without a role, with the default one."""
    return user(running, name, role, repositories, headers={"User-Agent": agent}, event_hooks={"response": [lawful]})


def files(running: Running, *digests: str) -> list[Path]:
    """Where the bytes of these digests lie on the disk."""
    names = [each.replace(":", "/", 1) for each in digests]
    parts = [(algorithm, encoded) for algorithm, _, encoded in (name.partition("/") for name in names)]
    layers = running.data / "layers"
    return [found for algorithm, encoded in parts for found in layers.glob(f"{algorithm}/*/{encoded}.*")]


def parts(running: Running) -> list[str]:
    """Files of uploads that are not finished."""
    return sorted(path.name for path in (running.data / "uploads").iterdir())
