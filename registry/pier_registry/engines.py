"""Engines that the doors know by their User-Agent."""

from __future__ import annotations

from typing import Final

# Docker up to 1.9, and what it called itself before 1.4. Where these find v2 they push manifests of a kind that no
# registry takes any more; where they do not, they go on with v1. Read by Python and by nginx.
V1_ONLY: Final = r"(?:^|\W)docker/1\.[0-9]\.|^Go 1\.1 package http"

# Those that may be built on containerd's library, which does not ping. Docker with the containerd store (the default
# from 29 on) gets tokens by the system's trust store alone, whatever CA it was given for the registry.
ON_CONTAINERD: Final = r"(?:docker|containerd|buildkit)/"

# Asks for each blob once more after its upload or mount: moby's classic store.
ASKS_AGAIN: Final = r"docker/"

# skopeo, podman, buildah and CRI-O (containers/image) ask for a blob where it is before they mount it from there.
ASKS_BEFORE_MOUNT: Final = r"(?:skopeo|containers|Buildah|cri-o)/"
