"""Docker engines that both doors know by their User-Agent."""

from __future__ import annotations

from typing import Final

# Engines up to 1.9, and what those before 1.4 call themselves. Where they find v2 they push manifests of a kind that no
# registry takes any more; where they do not, they go on with v1. Read by Python and by nginx.
V1_ONLY: Final = r"(?:^|\W)docker/1\.[0-9]\.|^Go 1\.1 package http"
