"""The app's URL map as requests that can be sent."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from flask import Flask

from pier_registry import app as wiring
from pier_registry.preparing import prepare
from pier_registry.settings import Settings

_VARIABLE: Final = re.compile(r"<(?:(\w+):)?\w+>")
CHANGING: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
UNKNOWN_ID: Final = "0" * 64


@dataclass(frozen=True, slots=True)
class Route:
    method: str
    rule: str

    def path(self, *, repository: str, tag: str, image: str = UNKNOWN_ID, digest: str = f"sha256:{UNKNOWN_ID}") -> str:
        values = {
            "repository": repository,
            "v1repository": repository,
            "tag": tag,
            "image": image,
            "digest": digest,
            None: "somebody",
        }
        return _VARIABLE.sub(lambda match: values[match[1]], self.rule)


def wired(data: Path) -> Flask:
    """The application as it is served, for its URL map."""
    settings = Settings(data=data)
    prepare(settings)
    return wiring.create_app(settings, direct=True)


def of(app: Flask) -> list[Route]:
    """All but v2's, which are not v1's business, and the private port's; HEAD and OPTIONS come with GET."""
    return [
        Route(method, rule.rule)
        for rule in app.url_map.iter_rules()
        if not rule.rule.startswith(("/v2", "/healthz", "/readyz", "/metrics"))
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
    ]


def changing(app: Flask) -> list[Route]:
    return [route for route in of(app) if route.method in CHANGING]
