"""What clients type to reach this registry: the public URL, or else what the request itself says."""

from __future__ import annotations

import re
from typing import Final

from flask import request

from pier_registry import errors
from pier_registry.settings import Settings

_HOST: Final = re.compile(r"[A-Za-z0-9.\-\[\]:_]{1,255}", re.ASCII)


def host(settings: Settings) -> str:
    """`name:port`. Raises Invalid for a Host header that is none."""
    if settings.public_url:
        return re.sub(r"^https?://", "", settings.public_url)
    said = request.headers.get("Host", "")
    if not _HOST.fullmatch(said):
        raise errors.Invalid("the Host header is not a host name")
    return said


def url(settings: Settings) -> str:
    """Without a slash at the end. Raises Invalid as `host`."""
    return settings.public_url or f"https://{host(settings)}"
