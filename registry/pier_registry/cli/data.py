"""The data folder of the command line: opened by its owner, with the schema this version works on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from pier_registry.actions.registry import Registry
from pier_registry.app import open_registry
from pier_registry.errors import Misconfigured
from pier_registry.metadata import version
from pier_registry.settings import Settings


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
        if version.state(registry.metadata) == "behind":
            raise Misconfigured("the database's schema is not up to date: run `pier migrate` first")
        yield registry
    finally:
        registry.metadata.close()
