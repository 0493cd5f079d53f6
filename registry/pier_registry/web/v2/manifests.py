"""Manifests by tag or digest, byte for byte as they were pushed."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from flask import Blueprint, Request, Response, request

from pier_registry import actions, errors
from pier_registry.actions.publish_manifest import Published, Pushed
from pier_registry.metadata.pulls import Document
from pier_registry.names import Digest, RepositoryName, TagName, parse_tag
from pier_registry.web import answers, bodies
from pier_registry.web.answers import Answer
from pier_registry.web.context import Asked, asked, caller, registry
from pier_registry.web.responses import empty

_MANIFEST: Final = "/v2/<repository:name>/manifests/<known:reference>"
_PUSHED: Final = "/v2/<repository:name>/manifests/<reference:reference>"
_TAGS: Final = 100


def register(room: Blueprint) -> None:
    room.get(_MANIFEST, endpoint="manifest")(get)
    room.put(_PUSHED, endpoint="push_manifest")(put)
    room.delete(_MANIFEST, endpoint="delete_manifest")(delete)


def get(name: RepositoryName, reference: Digest | TagName) -> Response:
    return read(asked(), name, reference).response()


def read(asked: Asked, name: RepositoryName, reference: Digest | TagName) -> Answer:
    """By GET or HEAD."""
    request = asked.request
    ask = actions.pull_manifest.ask_for_manifest if request.method == "HEAD" else actions.pull_manifest.manifest
    found = ask(asked.doors.registry, asked.caller, name, reference, _accepted(request))
    if "If-None-Match" in request.headers and request.if_none_match.contains_weak(found.digest):
        return Answer(_headers(found), status=304)
    return answers.whole(found.body, {**_headers(found), "Content-Type": found.media_type})


def put(name: RepositoryName, reference: Digest | TagName) -> Response:
    digest, tags = (reference, _named_tags()) if isinstance(reference, Digest) else (None, [reference])
    body = bodies.small(registry().settings.max_manifest)
    pushed = Pushed(body, request.headers.get("Content-Type", ""), digest, tags)
    published = actions.publish_manifest.publish(registry(), caller(), name, pushed)
    return _created(name, published, tags if digest else [])


def delete(name: RepositoryName, reference: Digest | TagName) -> Response:
    force = request.args.get("force", "") not in {"", "0", "false"}
    if isinstance(reference, Digest):
        receipt = actions.delete_manifest.manifest(registry(), caller(), name, reference, force=force)
    else:
        receipt = actions.delete.tag(registry(), caller(), name, reference, force=force)
    return empty(202, receipt.headers())


def _named_tags() -> list[TagName]:
    """The tags of a push by digest. distribution-spec, "Pushing manifests", parameter `tag`."""
    named = list(dict.fromkeys(request.args.getlist("tag")))
    if len(named) > _TAGS:
        refused = errors.Invalid(f"at most {_TAGS} tags can be set at once")
        refused.status = 414
        raise refused
    return [parse_tag(each) for each in named]


def _accepted(request: Request) -> frozenset[str]:
    """Media types of the Accept headers, without their parameters."""
    return _media_types(request.headers.get("Accept", ""))


@lru_cache(maxsize=256)
def _media_types(told: str) -> frozenset[str]:
    return frozenset(part.partition(";")[0].strip() for part in told.split(","))


def _headers(found: Document) -> dict[str, str]:
    return {"Docker-Content-Digest": found.digest, "ETag": f'"{found.digest}"', "X-Content-Type-Options": "nosniff"}


def _created(name: RepositoryName, published: Published, tags: list[TagName]) -> Response:
    headers = {
        "Location": f"/v2/{name}/manifests/{published.digest}",
        "Docker-Content-Digest": str(published.digest),
    }
    if published.subject:
        headers["OCI-Subject"] = str(published.subject)
    if tags:
        headers["OCI-Tag"] = ", ".join(tags)
    return empty(201, headers | published.receipt.headers())
