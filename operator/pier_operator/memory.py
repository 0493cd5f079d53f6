"""Thousands of objects alike: their texts are held once, and what is free goes back to the system."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import sys
from typing import Any, Final

from pier_operator import api
from pier_operator.api import Manifest

_SHORT: Final = 80
# Of what is kept, nothing asks for these, and they are most of it.
_MANAGERS: Final = "managedFields"
_LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"


def lean(manifest: Manifest) -> Manifest:
    """The same object without what nothing asks for: who manages its fields, and what a pod was meant to be."""
    unread = {"spec"} if manifest["kind"] == api.POD.name else frozenset()
    kept = {key: value for key, value in manifest.items() if key not in unread}
    meta = {key: value for key, value in manifest["metadata"].items() if key != _MANAGERS}
    if _LAST_APPLIED in (meta.get("annotations") or {}):
        meta["annotations"] = {key: text for key, text in meta["annotations"].items() if key != _LAST_APPLIED}
    found: Manifest = _shared({**kept, "metadata": meta})
    return found


def _shared(value: Any) -> Any:
    """The same value, whose keys and short texts are shared with all others."""
    if isinstance(value, dict):
        return {sys.intern(key): _shared(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_shared(each) for each in value]
    if isinstance(value, str) and len(value) <= _SHORT:
        return sys.intern(value)
    return value


def trim() -> None:
    """After a list of everything; a C library that cannot does without."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
