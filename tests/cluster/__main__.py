"""A cluster to try Pier on: `python -m tests.cluster up` (`make cluster-up`), and `down`.

All of it lies below build/cluster; nothing else of this host changes.
"""

from __future__ import annotations

import sys
import time
from typing import Final

from tests.cluster import cluster, images
from tests.house.pages import ROOT
from tests.parts.kubernetes_programs import program
from tests.parts.tools import tool

_HOME: Final = ROOT / "build" / "cluster"
_READY: Final = """\
The cluster is ready. In your shell:
  export KUBECONFIG={kubeconfig} PATH={bin}:$PATH

Its Ingress and Gateway (class traefik) answer at {front}; these names lead there in the cluster, and here once they
stand in /etc/hosts:
  {front} {host}

Images on its node: {images}
MySQL is {mysql}. `make cluster-down` takes all of it away.
"""


def up() -> None:
    """One that runs gets Pier's images anew; one that does not any more, after a restart of this host, starts again."""
    running = cluster.found(_HOME)
    if running is None:
        running = cluster.made(_HOME)
        _start_anew(running)
    else:
        if not running.machine.is_on:
            running.boot()
        running.load_pier()
    bin_folder = _HOME / "bin"
    bin_folder.mkdir(exist_ok=True)
    for name, place in (("kubectl", program("kubectl")), ("helm", tool("helm")), ("crane", tool("crane"))):
        link = bin_folder / name
        link.unlink(missing_ok=True)
        link.symlink_to(place)
    print(
        _READY.format(
            kubeconfig=running.kubeconfig,
            bin=bin_folder,
            front=running.front,
            host=cluster.HOSTS[0],
            images=", ".join((images.REGISTRY, images.OPERATOR, images.BUSYBOX)),
            mysql=images.MYSQL,
        )
    )


def down() -> None:
    running = cluster.found(_HOME)
    if running is None:
        print("There is no cluster.")
        return
    running.machine.remove()
    print("The cluster is gone.")


def make() -> None:
    """What a cluster starts with; called by scripts/test-parts."""
    began = time.monotonic()
    images.surroundings()
    print(f"images of a cluster: {time.monotonic() - began:.1f} s", flush=True)


def _start_anew(new: cluster.Cluster) -> None:
    """A start that fails leaves nothing behind."""
    try:
        new.boot()
        new.furnish()
    except BaseException:
        new.machine.remove()
        raise


if __name__ == "__main__":
    {"up": up, "down": down, "make": make}[sys.argv[1]]()
