"""Where the program's own log lines go."""

from __future__ import annotations

import logging


def to_stderr() -> None:
    """Pier's events, and the warnings of what it is built on."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s: %(message)s")
    logging.getLogger("pier").setLevel(logging.INFO)
