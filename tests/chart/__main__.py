"""Fetch the schemas that the chart is held against: `python -m tests.chart`, called by scripts/test-parts."""

from __future__ import annotations

import time

from tests.chart import published


def main() -> None:
    began = time.monotonic()
    published.make()
    print(f"schemas of Kubernetes: {time.monotonic() - began:.1f} s", flush=True)


if __name__ == "__main__":
    main()
