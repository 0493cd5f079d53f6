"""Kinds of other projects, as they publish them in their Go modules: what the operator makes is held to them."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.parts import cache


@dataclass(frozen=True, slots=True)
class Published:
    """A file of a module's release."""

    module: str
    version: str
    file: str


_GATEWAY: Final = ("sigs.k8s.io/gateway-api", "v1.4.0", "config/crd/standard/gateway.networking.k8s.io_{}.yaml")
KINDS: Final = {
    **{
        kind: Published(*_GATEWAY[:2], _GATEWAY[2].format(plural))
        for kind, plural in {
            "HTTPRoute": "httproutes",
            "Gateway": "gateways",
            "GatewayClass": "gatewayclasses",
            "GRPCRoute": "grpcroutes",
            "ReferenceGrant": "referencegrants",
            "BackendTLSPolicy": "backendtlspolicies",
        }.items()
    },
    "Certificate": Published(
        "github.com/cert-manager/cert-manager", "v1.19.1", "deploy/crds/cert-manager.io_certificates.yaml"
    ),
}


def definition(kind: str) -> Path:
    """The CustomResourceDefinition of a kind. Raises PartMissing."""
    return cache.found(_entry(kind), f"the definition of {kind}") / "crd.yaml"


def make() -> None:
    """Fetch what is missing. Raises SystemExit without a Go toolchain."""
    for kind in KINDS:
        cache.made(_entry(kind), functools.partial(_fetch, kind))


def _entry(kind: str) -> str:
    return f"kind-{kind.lower()}-{KINDS[kind].version}"


def _fetch(kind: str, draft: Path) -> None:
    toolchain = shutil.which("go")
    if toolchain is None:
        raise SystemExit("missing: Go 1.26.7 or newer (`go` on the PATH), which fetches modules.")
    published = KINDS[kind]
    done = subprocess.run(
        [toolchain, "mod", "download", "-json", f"{published.module}@{published.version}"],
        cwd=draft,
        env={**os.environ, "GOWORK": "off"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if done.returncode:
        raise AssertionError(f"go mod download {published.module}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    shutil.copyfile(Path(json.loads(done.stdout)["Dir"]) / published.file, draft / "crd.yaml")
