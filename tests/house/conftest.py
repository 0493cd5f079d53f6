"""The application as it is wired, on a folder of its own."""

from __future__ import annotations

import atexit
from collections.abc import Callable, Iterator

import pytest
from flask import Flask

from pier_registry.app import create_app
from pier_registry.preparing import prepare
from pier_registry.settings import Settings


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    settings = Settings(data=tmp_path_factory.mktemp("house"))
    stops: list[Callable[[], object]] = []
    prepare(settings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(atexit, "register", stops.append)
        made = create_app(settings)
    yield made
    for stop in stops:
        stop()
    made.extensions["pier"].registry.metadata.close()
