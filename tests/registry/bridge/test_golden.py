"""What the bridge makes may never change, since its digests and ids are public: each file of `golden` holds one case.

`about` says what the case is for. `chain` of a manifest, root first: the v1 json as it was put, the layer's descriptor
and the digest of the tar in it. `layers` and `config` of a face: the digests and the bytes that v2 has.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Final

import pytest

from pier_registry.actions import face
from pier_registry.actions.synthesis import Part, Synthesis, synthesise
from pier_registry.names import Digest
from tests.registry.v2.documents import DOCKER_CONFIG, DOCKER_IMAGE, digest

GOLDEN: Final = Path(__file__).with_name("golden")


def cases(kind: str) -> Any:
    files = sorted(GOLDEN.glob(f"{kind}-*.json"))
    return [pytest.param(json.loads(file.read_text()), id=file.stem) for file in files]


def synthesised(case: dict[str, Any]) -> Synthesis:
    return synthesise([
        Part(
            json=each["json"].encode(),
            digest=Digest.parse(each["layer"]["digest"]),
            size=each["layer"]["size"],
            media_type=each["layer"]["mediaType"],
            diff_id=each["diff_id"],
        )
        for each in case["chain"]
    ])  # fmt: skip


@pytest.mark.parametrize("case", cases("manifest"))
def test_a_chain_makes_the_same_manifest_for_ever(case: dict[str, Any]) -> None:
    made = synthesised(case)
    assert made.config.decode() == case["config"]
    assert made.manifest.decode() == case["manifest"]
    assert (str(made.config_digest), str(made.digest)) == (case["config_digest"], case["digest"])


@pytest.mark.parametrize("case", cases("manifest"))
def test_a_golden_manifest_is_in_itself_right(case: dict[str, Any]) -> None:
    """Its digests are those of its bytes, and it has a step and a layer for each image of the chain."""
    config, manifest = json.loads(case["config"]), json.loads(case["manifest"])
    assert case["digest"] == digest(case["manifest"].encode())
    assert manifest == {
        "schemaVersion": 2,
        "mediaType": DOCKER_IMAGE,
        "config": {
            "mediaType": DOCKER_CONFIG,
            "digest": digest(case["config"].encode()),
            "size": len(case["config"].encode()),
        },
        "layers": [each["layer"] for each in case["chain"]],
    }
    assert config["rootfs"] == {"type": "layers", "diff_ids": [each["diff_id"] for each in case["chain"]]}
    assert len(config["history"]) == len(case["chain"])
    assert not {"id", "parent", "parent_id", "layer_id", "Size", "throwaway"} & set(config)


@pytest.mark.parametrize("case", cases("face"))
def test_an_image_has_the_same_v1_face_for_ever(case: dict[str, Any]) -> None:
    config = case["config"].encode()
    ids = face.ids(list(map(Digest.parse, case["layers"])), Digest.parse(digest(config)))
    assert ids == case["ids"]
    parents = [None, *ids]
    configs = [None] * (len(ids) - 1) + [config]
    told = [face.json_of(*each) for each in zip(ids, parents, configs, strict=False)]
    assert [each.decode() for each in told] == case["jsons"]


@pytest.mark.parametrize("case", cases("face"))
def test_a_golden_face_binds_its_layers_and_its_config(case: dict[str, Any]) -> None:
    parent = ""
    for at, (image_id, layer) in enumerate(zip(case["ids"], case["layers"], strict=True), start=1):
        bound = f"pier-v1/1\n{parent}\n{layer}"
        bound += f"\n{digest(case['config'].encode())}" if at == len(case["ids"]) else ""
        assert image_id == hashlib.sha256(bound.encode()).hexdigest()
        parent = image_id


def test_there_are_cases_of_both_kinds() -> None:
    assert (len(cases("manifest")), len(cases("face"))) >= (11, 4)
