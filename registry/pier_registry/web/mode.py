"""Read-only or not: by the setting, or by the file `<data>/mode`, which holds for the next request."""

from __future__ import annotations

from typing import Final

from pier_registry.settings import Settings
from pier_registry.web.livefile import LiveFile

_MODES: Final = {b"active": False, b"read-only": True}


class Mode:
    """A file that says neither changes nothing, and `trouble` tells of it."""

    def __init__(self, settings: Settings) -> None:
        self._file = LiveFile[bool](settings.mode_file, _parse, settings.read_only, optional=True)

    @property
    def read_only(self) -> bool:
        return self._file.current()

    @property
    def trouble(self) -> str:
        self._file.current()
        return self._file.trouble


def _parse(raw: bytes) -> bool:
    """Raises ValueError."""
    try:
        return _MODES[raw.strip()]
    except KeyError:
        raise ValueError("must hold active or read-only") from None
