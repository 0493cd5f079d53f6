"""The data folder of the command line: opened by its owner, with the schema this version works on."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

from pier_registry.actions.registry import Registry
from pier_registry.app import open_registry
from pier_registry.errors import Misconfigured, Unavailable
from pier_registry.metadata import migrate
from pier_registry.settings import Settings

log = logging.getLogger("pier.start")
Made = TypeVar("Made")

_PAUSE: Final = 1.0  # seconds


def patiently(work: Callable[[], Made], seconds: float, pause: Callable[[float], object]) -> Made:
    """What `work` makes, once the database answers: it may start at the same time, as when a node comes back.

    Ends early, as it does after `seconds`, when `pause` returns something true. Raises Unavailable then.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            return work()
        except Unavailable as away:
            if time.monotonic() >= deadline:
                raise
            log.warning("%s", away)
            if pause(_PAUSE):
                raise


def owned(settings: Settings) -> None:
    """Raises Misconfigured for another user's folder: files made in it would lock its owner out.

    A volume may belong to root, and what lies in it to the registry that it was given to.
    """
    layers = settings.data / "layers"
    try:
        owner = (layers if layers.exists() else settings.data).stat().st_uid
    except FileNotFoundError:
        raise Misconfigured(
            f"there is no data folder {settings.data}: set PIER_DATA, or run `pier serve` first"
        ) from None
    except OSError as wrong:
        raise Misconfigured(f"the data folder {settings.data} cannot be opened: {wrong.strerror}") from None
    if owner != os.geteuid():
        raise Misconfigured(f"{settings.data} belongs to user id {owner}: run this command as that user")


@contextmanager
def opened() -> Iterator[Registry]:
    settings = Settings.load()
    owned(settings)
    registry = open_registry(settings)
    try:
        if migrate.state(registry.metadata) == "behind":
            raise Misconfigured("the database's schema is not up to date: run `pier migrate` first")
        yield registry
    finally:
        registry.metadata.close()
