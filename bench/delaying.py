"""Distance: a port of this host behind which a server answers as if it were far away.

In user space, since not every kernel can delay packets (netem). Each connection goes through a program that hands on
what it reads after half a round trip, with no more under way than a connection's largest window.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from urllib.parse import urlsplit

from bench import programs
from bench.client import Door


@contextmanager
def far(door: Door, round_trip: int) -> Iterator[Door]:
    """The same server, `round_trip` milliseconds away, until the end of the block."""
    place = urlsplit(door.url)
    command = [str(programs.built("delay")), f"{round_trip * 500}us", f"{place.hostname}:{place.port}"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield replace(door, url=f"https://localhost:{int(process.stdout.readline())}")
        finally:
            process.kill()
