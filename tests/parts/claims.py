"""Things of this host that one process has for itself: a name that the kernel frees when the process ends."""

from __future__ import annotations

import socket


def claim(name: str) -> bool:
    """Whether it is ours from now on. It is not when it was before, by us too."""
    holder = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        holder.bind(f"\0{name}")
    except OSError:
        holder.close()
        return False
    holder.detach()  # stays open, without an object that would have to be closed
    return True
