"""Build the images, so that no test waits for them: `python -m tests.images`, called by scripts/test-parts."""

from __future__ import annotations

import time

from tests.images import built

KINDS = ("registry", "operator")


def main() -> None:
    for kind in KINDS:
        began = time.monotonic()
        built.archive(kind)
        print(f"the {kind} image: {time.monotonic() - began:.1f} s", flush=True)


if __name__ == "__main__":
    main()
