"""`python -m pier_registry.proxy`: the front door as a process of its own."""

from __future__ import annotations

import sys

from pier_registry import logs
from pier_registry.errors import PierError
from pier_registry.proxy import runner
from pier_registry.settings import Settings


def main() -> int:
    """The exit code; a refusal is one sentence on standard error."""
    logs.to_stderr()
    try:
        return runner.run(Settings.load())
    except PierError as wrong:
        print(f"pier proxy: {wrong.message}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
