"""Thousands of objects alike: their texts are held once, and what is free goes back to the system."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import sys
from typing import Any, Final

_SHORT: Final = 80


def lean(value: Any) -> Any:
    """The same value, whose keys and short texts are shared with all others."""
    if isinstance(value, dict):
        return {sys.intern(key): lean(each) for key, each in value.items()}
    if isinstance(value, list):
        return [lean(each) for each in value]
    if isinstance(value, str) and len(value) <= _SHORT:
        return sys.intern(value)
    return value


def trim() -> None:
    """After a list of everything; a C library that cannot does without."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
