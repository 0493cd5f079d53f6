"""Engines that the doors know by their User-Agent."""

from __future__ import annotations

from typing import Final

# Docker up to 1.9, and what it called itself before 1.4. Where these find v2 they push manifests of a kind that no
# registry takes any more; where they do not, they go on with v1. Read by Python and by nginx.
V1_ONLY: Final = r"(?:^|\W)docker/1\.[0-9]\.|^Go 1\.1 package http"

# Those that may be built on containerd's client, which does not ping. Docker's (29 is one by default) and BuildKit's get
# tokens by the system's trust store alone, not by the CA that they were given for the registry.
ON_CONTAINERD: Final = r"(?:docker|containerd|buildkit)/"
