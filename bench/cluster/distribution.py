"""The newest distribution beside Pier: on the same node, the same kind of volume, behind the same Ingress."""

from __future__ import annotations

import json
import secrets
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from string import Template
from typing import Final

import httpx

from bench.cluster.field import Field
from pier_operator.api import Manifest
from pier_operator.quantity import amount
from pier_registry.web import users
from tests.cluster import cloud, images
from tests.cluster import cluster as clusters
from tests.operator.cluster import eventually
from tests.parts.certificates import Authority
from tests.parts.go_programs import PROGRAMS

NAME: Final = f"distribution {PROGRAMS['registry'].version.removeprefix('v')}"
CLAIM: Final = "data"
_MANIFESTS: Final = Path(__file__).with_name("distribution.yaml")
_HOST: Final = clusters.HOSTS[1]
_USER: Final = "bench"
_ROUTED_WITHIN: Final = 30.0  # seconds
_COST: Final = 5  # of bcrypt, which it pays at each request


@dataclass(frozen=True, slots=True)
class Distribution:
    """`ca` is a file."""

    host: str
    ca: Path
    user: str
    password: str
    namespace: str


@contextmanager
def beside(here: Field, pod: Manifest, folder: Path) -> Iterator[Distribution]:
    """Until the end of the block; it may use what all containers of Pier's `pod` may use together."""
    namespace = here.cluster.namespace("distribution")
    authority = Authority(folder)
    made = Distribution(_HOST, authority.pair.certificate, _USER, secrets.token_urlsafe(12), namespace)
    try:
        _install(here, namespace, made, _together(pod), authority)
        yield made
    finally:
        here.delete(namespace)


def _install(here: Field, namespace: str, made: Distribution, resources: Manifest, authority: Authority) -> None:
    kubectl = here.cluster.kubectl
    pair = authority.issue("distribution", "distribution", names=(made.host,))
    kubectl("create", "secret", "tls", "tls", f"--cert={pair.certificate}", f"--key={pair.key}", "-n", namespace)
    values = {
        "host": made.host,
        "image": images.DISTRIBUTION,
        "resources": json.dumps(resources),
        "storage": cloud.CLASS,
        "users": f"{made.user}:{users.hash_password(made.password, _COST).decode()}",
    }
    kubectl("apply", "-n", namespace, "-f", "-", stdin=Template(_MANIFESTS.read_text()).substitute(values))
    kubectl("rollout", "status", "deployment/distribution", "-n", namespace, "--timeout=55s")
    eventually(lambda: _answers(here, made), _ROUTED_WITHIN, lambda: f"Traefik does not lead to {made.host}")


def _answers(here: Field, made: Distribution) -> bool:
    """Through the Ingress, with the certificate that Traefik is to take."""
    trusting = ssl.create_default_context(cafile=made.ca)
    try:
        with httpx.Client(verify=trusting, auth=(made.user, made.password)) as client:
            told = {"Host": made.host}
            answer = client.get(
                f"https://{here.cluster.front}/v2/", headers=told, extensions={"sni_hostname": made.host}
            )
    except httpx.TransportError:
        return False
    return answer.status_code == 200


def _together(pod: Manifest) -> Manifest:
    """Sums over its containers."""
    found: dict[str, dict[str, Decimal]] = {}
    for container in pod["spec"]["containers"]:
        for kind, held in container["resources"].items():
            for name, quantity in held.items():
                sums = found.setdefault(kind, {})
                sums[name] = sums.get(name, Decimal(0)) + (amount(quantity) or Decimal(0))
    return {kind: {name: str(each) for name, each in sums.items()} for kind, sums in found.items()}
