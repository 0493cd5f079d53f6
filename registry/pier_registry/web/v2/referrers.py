"""What refers to a manifest: signatures, bills of material, attestations, as an index that is made on demand."""

from __future__ import annotations

import json
from typing import Any, Final
from urllib.parse import quote, urlencode

from flask import Blueprint, Response, request

from pier_registry import actions
from pier_registry.actions.manifest_body import OCI_INDEX
from pier_registry.metadata.manifests import Manifest
from pier_registry.names import Digest, RepositoryName
from pier_registry.web import paging
from pier_registry.web.context import caller, registry

_PAGE: Final = 500


def register(room: Blueprint) -> None:
    room.get("/v2/<repository:name>/referrers/<digest:digest>")(referrers)


def referrers(name: RepositoryName, digest: Digest) -> Response:
    """Never 404: of what is unknown, or not there yet, the list is empty."""
    wanted = request.args.get("artifactType", "")
    size = paging.number("n", _PAGE, _PAGE, least=1)
    after = paging.number("last", 0, 1 << 62)
    # A raw `+` in a query reads as a space, and media types hold no spaces.
    types = {wanted.replace(" ", "+")} if wanted else set()
    found = actions.pull_manifest.referrers(registry(), caller(), name, digest, types, after=after, count=size + 1)
    shown = found[:size]
    headers = {"OCI-Filters-Applied": "artifactType"} if wanted else {}
    if len(found) > size:
        query = urlencode({"n": size, "last": shown[-1].id} | ({"artifactType": wanted} if wanted else {}))
        headers["Link"] = f'<{quote(request.path)}?{query}>; rel="next"'
    body = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [_described(each) for each in shown]}
    return Response(json.dumps(body), headers=headers, content_type=OCI_INDEX)


def _described(known: Manifest) -> dict[str, Any]:
    told: dict[str, Any] = {"mediaType": known.media_type, "size": known.size, "digest": known.digest}
    if known.artifact_type:
        told["artifactType"] = known.artifact_type
    if known.annotations:
        told["annotations"] = dict(known.annotations)
    return told
