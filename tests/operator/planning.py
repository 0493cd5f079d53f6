"""Plans made without a cluster: a spec with the defaults of the API, a still clock, and chance that is none."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml
from cryptography.hazmat.primitives.asymmetric import ec

from pier_operator import api
from pier_operator.api import Manifest
from pier_operator.observed import Observed, decoded, encoded
from pier_operator.plan import plan
from pier_operator.plan.child import Plan, Situation
from pier_operator.settings import Settings
from pier_operator.spec import parse

NOW: Final = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
CRD: Final = Path(__file__).resolve().parents[2] / "crds" / "pierregistry.yaml"
UID: Final = "11111111-2222-3333-4444-555555555555"


class StillChance:
    """The same passwords in each run, and hashes that show what they are of."""

    def __init__(self, seed: int = 1) -> None:
        self._random = random.Random(seed)

    def password(self) -> str:
        return "".join(self._random.choice("abcdefghij") for _ in range(32))

    def key(self) -> ec.EllipticCurvePrivateKey:
        return ec.derive_private_key(self._random.getrandbits(200) + 1, ec.SECP256R1())

    def serial(self) -> int:
        return self._random.getrandbits(100) + 1

    def hashed(self, password: str, known: str) -> str:
        return known if known == f"hash-of-{password}" else f"hash-of-{password}"


@cache
def schema() -> Manifest:
    """That of the spec."""
    held = yaml.safe_load(CRD.read_text(encoding="utf-8"))
    found: Manifest = held["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return found


def defaulted(of: Manifest, value: Any) -> Any:
    """As the API server fills in defaults."""
    if of.get("type") == "object" and isinstance(value, dict):
        filled = dict(value)
        for name, each in of.get("properties", {}).items():
            if name not in filled and "default" in each:
                filled[name] = copy.deepcopy(each["default"])
            if name in filled:
                filled[name] = defaulted(each, filled[name])
        return filled
    if of.get("type") == "array" and isinstance(value, list):
        return [defaulted(of["items"], each) for each in value]
    return value


def resource(spec: Manifest | None = None, **annotations: str) -> Manifest:
    return {
        "apiVersion": api.PIER_REGISTRY.api_version,
        "kind": api.PIER_REGISTRY.name,
        "metadata": {"name": "pier", "namespace": "team", "uid": UID, "generation": 1, "annotations": annotations},
        "spec": defaulted(schema(), spec or {}),
    }


def situation(
    spec: Manifest | None = None,
    children: Iterable[Manifest] = (),
    references: Iterable[Manifest] = (),
    now: datetime = NOW,
    apis: Iterable[str] = ("Certificate", "ServiceMonitor", "PrometheusRule", "HTTPRoute"),
    seed: int = 1,
    **annotations: str,
) -> Situation:
    observed = Observed(
        {(each["kind"], api.name_of(each)): each for each in children},
        {api.name_of(each): each for each in references},
        (),
        frozenset(apis),
    )
    registry = parse(resource(spec, **{f"{api.GROUP}/{key.replace('_', '-')}": v for key, v in annotations.items()}))
    return Situation(registry, observed, Settings(), now, StillChance(seed))


def planned(spec: Manifest | None = None, **given: Any) -> Plan:
    return plan(situation(spec, **given))


def manifests(of: Plan) -> list[Manifest]:
    return [child.manifest for child in of.children]


def settled(spec: Manifest | None = None, **given: Any) -> list[Manifest]:
    """Children of a registry whose gates are all open, as they would be found."""
    found: list[Manifest] = []
    for _ in range(4):
        found = [living(each) for each in manifests(planned(spec, children=found, **given))]
    return found


def texts(secret: Manifest) -> dict[str, str]:
    return decoded(secret)


def named(children: Iterable[Manifest], kind: str, name: str) -> Manifest:
    return next(each for each in children if (each["kind"], api.name_of(each)) == (kind, name))


def secret(name: str, **data: str) -> Manifest:
    held = encoded({key.replace("__", "."): text for key, text in data.items()})
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": held}


def living(planned: Manifest) -> Manifest:
    """With the status of an object that has become what it should."""
    live: Manifest = json.loads(json.dumps(planned))
    live["metadata"] |= {"generation": 1, "resourceVersion": "1", "uid": api.name_of(live)}
    wanted = live.get("spec", {}).get("replicas", 0)
    counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas"), wanted)
    if live["kind"] == "StatefulSet":
        live["status"] = {**counts, "observedGeneration": 1, "currentRevision": "a", "updateRevision": "a"}
    if live["kind"] == "Deployment":
        live["status"] = {**counts, "observedGeneration": 1}
    if live["kind"] == "Job":
        live["status"] = {"conditions": [{"type": "Complete", "status": "True"}]}
    if live["kind"] == "Service":
        live["spec"].setdefault("clusterIP", "10.0.0.1")
    return live
