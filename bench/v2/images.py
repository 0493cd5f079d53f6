"""An image of 16 layers up and down by crane, which works on several layers at once."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from bench import layers
from bench.client import Door
from bench.figures import Bound, Row, interleaved
from bench.programs import Unprepared
from bench.stage import Bench
from bench.v2 import field, layout
from bench.v2.field import PIER, Subjects
from tests.parts.tools import tool

_LAYERS: Final = 16
_SIZE: Final = 8 * layers.MIB
_BOUND: Final = Bound("at least", 1.0)
_KEPT: Final = "bench/kept"


def measure(bench: Bench) -> Iterator[Row]:
    """Layers are compressed beforehand, and logged in at cost 5; a pull writes the whole image to the disk."""
    image = layout.image(_LAYERS, _SIZE)
    with field.gathered(bench, "images") as here:
        doors = here.at_cost(5)
        crane = _Crane(bench, image, doors)
        for door in doors.values():
            crane.push(door, _KEPT)
        subjects: Subjects = field.per_door("pull", doors, crane.pulled)
        interleaved(1, subjects)
        measured = interleaved(bench.rounds, subjects)
        crane.delete(doors[PIER], _KEPT)
        subjects = field.per_door("push", doors, crane.pushed)
        interleaved(1, subjects)
        measured |= interleaved(bench.rounds, subjects)
    for what in ("push", "pull"):
        names = f"v2 image {what}", f"crane, {_LAYERS} layers of {_SIZE / layers.MIB:.0f} MiB"
        yield from field.against_each(names, "MiB/s", measured, what, _BOUND)


class _Crane:
    """Rates in MiB/s, of all layers together."""

    def __init__(self, bench: Bench, image: Path, doors: Mapping[str, Door]) -> None:
        self._bench = bench
        self._image = image
        self._program = tool("crane")
        self._mib = layout.size(image) / layers.MIB
        self._numbers = count()
        self._environment = os.environ | _logged_in(bench.folder / "crane", doors)

    def pulled(self, door: Door) -> float:
        target = self._bench.folder / "pulled"
        seconds = self._run("pull", "--format=oci", _name(door, _KEPT), str(target))
        shutil.rmtree(target)
        return self._mib / seconds

    def pushed(self, door: Door) -> float:
        """Each time into a new repository, and gone again afterwards."""
        repository = f"bench/pushed{next(self._numbers)}"
        seconds = self.push(door, repository)
        self.delete(door, repository)
        return self._mib / seconds

    def push(self, door: Door, repository: str) -> float:
        return self._run("push", str(self._image), _name(door, repository))

    def delete(self, door: Door, repository: str) -> None:
        """By digest, since distribution deletes no tags."""
        path = f"/v2/{repository}/manifests/{layout.digest(self._image)}"
        self._bench.client.ask(door, "DELETE", path, status=202)

    def _run(self, *arguments: str) -> float:
        begin = time.perf_counter()
        done = subprocess.run(
            [self._program, *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        seconds = time.perf_counter() - begin
        if done.returncode:
            raise Unprepared(f"crane {' '.join(arguments)}: {done.stderr[-1000:]}")
        return seconds


def _name(door: Door, repository: str) -> str:
    return f"{urlsplit(door.url).netloc}/{repository}:latest"


def _logged_in(folder: Path, doors: Mapping[str, Door]) -> dict[str, str]:
    """Environment of a client that trusts the certificate and is logged in everywhere."""
    folder.mkdir()
    known = {
        urlsplit(door.url).netloc: {"auth": base64.b64encode(f"{door.user}:{door.password}".encode()).decode()}
        for door in doors.values()
    }
    (folder / "config.json").write_text(json.dumps({"auths": known}), encoding="ascii")
    return {"DOCKER_CONFIG": str(folder), "SSL_CERT_FILE": str(doors[PIER].ca)}
