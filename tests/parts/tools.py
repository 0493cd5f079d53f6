"""Programs that other people's registries and clients are: Debian's as installed, Go's as built into the cache."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tests.parts import cache
from tests.parts.go_programs import built

# Debian's own, whatever else of that name is on the PATH.
_PACKAGED: Final = ("skopeo", "podman", "buildah", "ctr", "docker-registry")


def tool(name: str) -> Path:
    """Path of a program. Raises PartMissing.

    `skopeo`, `podman`, `buildah`, `ctr`, `docker-registry` (distribution 2.8): Debian's.
    `crane`, `oras`, `helm`, `registry` (distribution 3), `conformance-1.1`, `conformance-head`: built from source.
    """
    if name in _PACKAGED:
        return Path(cache.program(f"/usr/bin/{name}"))
    return built(name)
