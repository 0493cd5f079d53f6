"""Tags of manifests, in numbers."""

from __future__ import annotations

import hashlib
import json
from typing import Any, ClassVar

from bench.images import REPOSITORY
from bench.seeding import BASE, HOME, Seeded, digest_of
from bench.v2.requests import CONFIG, LAYER, MANIFEST
from pier_registry.metadata import layers, manifests, refcounts, repositories, tags
from pier_registry.metadata.layers import Arrival
from pier_registry.metadata.manifests import Draft
from pier_registry.metadata.schema import layer, manifest, manifest_layer, tag
from pier_registry.metadata.session import Transaction
from pier_registry.names import Digest, TagName


class ManifestTags(Seeded):
    """Each holds a manifest of one layer, whose config all share."""

    answered: ClassVar[int] = 202

    def address(self, name: TagName) -> str:
        return f"/v2/{REPOSITORY}/manifests/{name}"

    def _one(self, tx: Transaction, name: TagName, arrival: Arrival) -> None:
        home = repositories.find_or_create(tx, HOME)
        stored, _ = layers.arrive(tx, arrival)
        held = list(dict.fromkeys((_base(tx), stored.id)))
        refcounts.take(tx, layers=held)
        body = self._body(name)
        row_id = manifests.insert(tx, home.id, _draft(body, held))
        refcounts.take(tx, manifests=[row_id])
        tags.point(tx, tags.claim(tx, home.id, name), image_row=None, manifest_row=row_id, agent={})

    def _many(self, tx: Transaction, names: list[TagName]) -> None:
        base, home = _base(tx), repositories.find(tx, HOME)
        assert home is not None
        rows = [(base + 1 + int(name.removeprefix("v")), name) for name in names]
        tx.run(layer.insert(), [self._layer_row(tx, row_id, name) for row_id, name in rows])
        tx.run(manifest.insert(), [self._manifest_row(tx, row_id, name, home.id, base) for row_id, name in rows])
        edges = [(row_id, held, at) for row_id, _ in rows for at, held in enumerate((base, row_id))]
        tx.run(
            manifest_layer.insert(),
            [{"manifest_id": row_id, "layer_id": held, "position": at} for row_id, held, at in edges],
        )
        tx.run(
            tag.insert(),
            [
                {"repository_id": home.id, "name": name, "manifest_id": row, "agent": "{}", "updated": tx.now}
                for row, name in rows
            ],
        )
        tx.run(layer.update().where(layer.c.id == base).values(cnt=layer.c.cnt + len(rows)))

    def _without_base_tag(self, tx: Transaction) -> None:
        home = repositories.find(tx, HOME)
        known = tags.find(tx, home.id, BASE) if home else None
        assert known is not None
        assert known.manifest_row is not None
        tags.remove(tx, known.id)
        refcounts.release(tx, manifests=[known.manifest_row])

    def _body(self, name: TagName) -> bytes:
        config = {"mediaType": CONFIG, "digest": str(digest_of(BASE)), "size": self.source.size}
        only = {"mediaType": LAYER, "digest": str(digest_of(name)), "size": self.source.size}
        return json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [only]}).encode()

    def _manifest_row(self, tx: Transaction, row_id: int, name: TagName, home: int, base: int) -> dict[str, Any]:
        body = self._body(name)
        return {
            "id": row_id,
            "repository_id": home,
            "digest": str(_sha256(body)),
            "media_type": MANIFEST,
            "size": len(body),
            "body": body,
            "config_layer_id": base,
            "cnt": 1,
            "created": tx.now,
        }


def _draft(body: bytes, held: list[int]) -> Draft:
    return Draft(
        digest=_sha256(body),
        media_type=MANIFEST,
        artifact_type=None,
        annotations={},
        body=body,
        subject=None,
        config_row=held[0],
        layer_rows=held,
        child_rows=[],
    )


def _base(tx: Transaction) -> int:
    found = layers.find(tx, digest_of(BASE))
    assert found is not None
    return found.id


def _sha256(body: bytes) -> Digest:
    return Digest.sha256(hashlib.sha256(body).hexdigest())
