"""What the operator sees of one registry: its children, the Secrets it refers to, its pods."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field

from pier_operator.api import Manifest


@dataclass(frozen=True, slots=True)
class Observed:
    """`children` by kind and name; `references` are Secrets of the user by name, those that are there; `apis` are the
    optional kinds that this cluster knows.
    """

    children: Mapping[tuple[str, str], Manifest] = field(default_factory=dict)
    references: Mapping[str, Manifest] = field(default_factory=dict)
    pods: tuple[Manifest, ...] = ()
    apis: frozenset[str] = frozenset()

    def child(self, kind: str, name: str) -> Manifest | None:
        return self.children.get((kind, name))

    def secret(self, name: str) -> dict[str, str]:
        """Decoded data of a Secret that is a child; empty when there is none."""
        return decoded(self.children.get(("Secret", name)))

    def reference(self, name: str) -> dict[str, str]:
        """Decoded data of a Secret of the user; empty when there is none."""
        return decoded(self.references.get(name))


def decoded(secret: Manifest | None) -> dict[str, str]:
    """Texts only: a value that is no UTF-8 is left out, as if it were not there."""
    data = (secret or {}).get("data") or {}
    texts = {}
    for key, value in data.items():
        try:
            texts[key] = base64.b64decode(value).decode()
        except (binascii.Error, UnicodeDecodeError):
            continue
    return texts


def encoded(texts: Mapping[str, str]) -> dict[str, str]:
    return {key: base64.b64encode(value.encode()).decode() for key, value in sorted(texts.items())}
