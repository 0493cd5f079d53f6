"""What an operator has made, and whether all of it belongs together, however often it was interrupted."""

from __future__ import annotations

import base64
from typing import Final

import bcrypt

from pier_operator import api, x509
from pier_operator.api import Manifest
from pier_operator.kube import Kube

# Secrets that nothing but their loss, or a person, ever changes.
LASTING: Final[tuple[str, ...]] = ("pier-admin", "pier-users", "pier-db", "pier-ca", "pier-db-tls", "pier-tls")


def children(kube: Kube, namespace: str) -> dict[tuple[str, str], Manifest]:
    """By kind and name; the Job's name is another with each image."""
    return {
        (kind.name, "migrate" if kind.name == "Job" else api.name_of(each)): each
        for kind in api.BUILT_IN
        for each in kube.every(kind, namespace, api.REGISTRY)
    }


def secrets(kube: Kube, namespace: str) -> dict[str, dict[str, str]]:
    """Those of registry `pier`, decoded."""
    return {
        api.name_of(each): {key: base64.b64decode(value).decode() for key, value in (each.get("data") or {}).items()}
        for each in kube.every(api.KINDS["Secret"], namespace, api.REGISTRY)
    }


def agree(kube: Kube, namespace: str) -> None:
    """What was made at different moments belongs together. Raises AssertionError."""
    held = secrets(kube, namespace)
    lines = dict(line.split(":", 1) for line in held["pier-users-file"]["users.htpasswd"].splitlines())
    assert bcrypt.checkpw(held["pier-admin"]["password"].encode(), lines["admin"].encode())
    assert bcrypt.checkpw(held["pier-users"]["pier-pull"].encode(), lines["pier-pull"].encode())
    password = held["pier-db"]["password"]
    assert f":{password}@" in held["pier-db-url"]["url"]
    assert f"BY '{password}'" in held["pier-db-init"]["init.sql"]
    leaf, authority = (
        x509.certificates(held[key][part])[0] for key, part in (("pier-tls", "tls.crt"), ("pier-ca", "ca.crt"))
    )
    assert x509.is_signed_by(leaf, authority)
