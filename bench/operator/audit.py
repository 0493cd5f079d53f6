"""What the API server itself says of the operator's requests."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.operator.cluster import ACCOUNT, SYSTEM
from tests.parts.certificates import Authority, Pair
from tests.parts.control_plane import ControlPlane

_READS: Final = frozenset({"get", "list"})
_POLICY: Final = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived", "ResponseStarted"],
    "rules": [{"level": "Metadata", "users": [f"system:serviceaccount:{SYSTEM}:{ACCOUNT}"]}, {"level": "None"}],
}


class AuditedPlane(ControlPlane):
    """Its API server writes down each request of the operator."""

    @property
    def audit(self) -> Path:
        return self.home / "audit.log"

    def _api_server(self, authority: Authority, etcd_port: int, store: Pair) -> list[str]:
        policy = self.home / "audit.json"
        policy.write_text(json.dumps(_POLICY), encoding="utf-8")
        flags = [f"--audit-policy-file={policy}", f"--audit-log-path={self.audit}"]
        return [*super()._api_server(authority, etcd_port, store), *flags]


@dataclass(frozen=True, slots=True)
class Request:
    """`verb` is the API server's: get, list, create, patch, update, delete."""

    verb: str
    resource: str
    namespace: str
    name: str

    @property
    def reads(self) -> bool:
        return self.verb in _READS


def requests(log: Path, after: int) -> list[Request]:
    """Those that the log holds from this byte on, but the Lease's own and the watches, which look at nothing anew."""
    with log.open("rb") as held:
        held.seek(after)
        told = [json.loads(line) for line in held]
    found = [_request(each["verb"], each.get("objectRef") or {}) for each in told]
    return [each for each in found if each.verb != "watch" and each.resource != "leases"]


def _request(verb: str, target: dict[str, str]) -> Request:
    return Request(verb, target.get("resource", ""), target.get("namespace", ""), target.get("name", ""))
