"""NetworkPolicies in force: kube-router on the node, which does nothing else there.

The node's own plugins enforce none. Two engines were considered: kube-network-policies of the Kubernetes project asks
for nftables with queues, which not every kernel has; kube-router asks for iptables and ipset.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tests.cluster import node
from tests.cluster.cluster import Cluster
from tests.operator.cluster import eventually
from tests.parts import cache
from tests.parts.tools import tool

_NOTHING_ELSE: Final = tuple(f"--run-{other}=false" for other in ("router", "service-proxy", "loadbalancer"))


# Who enters a machine is the parent of what runs there, and passes no signal on.
_FOLLOWED: Final = 'echo $$ > /run/kube-router.pid; exec "$@"'
_ENDED: Final = "kill $(cat /run/kube-router.pid)"
# Its own cleaning would empty the tables of more than its own rules.
_AWAY: Final = """
iptables-save --table filter | grep --invert-match --extended-regexp 'KUBE-(ROUTER|POD-FW|NWPLCY)' | iptables-restore
ipset list --name | grep --extended-regexp '^(inet6:)?(KUBE-|kube-router)' | xargs --max-args 1 ipset destroy
"""


@contextmanager
def enforced(cluster: Cluster) -> Iterator[None]:
    """Until the end of the block; what it has made on the node is gone then. Raises PartMissing."""
    cache.program("ipset")
    running = cluster.plane
    router = [
        str(tool("kube-router")),
        "--run-firewall=true",
        *_NOTHING_ELSE,
        f"--kubeconfig={running.as_user('kube-router', groups='system:masters')}",
        f"--hostname-override={cluster.machine.name}",
        f"--service-cluster-ip-range={node.SERVICES}",
        "--health-port=0",
    ]
    log = running.home / "kube-router.log"
    with log.open("wb") as said:
        command = [*cluster.machine.entering, "sh", "-euc", _FOLLOWED, "sh", *router]
        process = subprocess.Popen(command, cwd="/", stdin=subprocess.DEVNULL, stdout=said, stderr=said)
    try:
        eventually(lambda: "KUBE-ROUTER-FORWARD" in _rules(cluster), 30, log.read_text)
        yield
    finally:
        cluster.machine.run("sh", "-euc", _ENDED)
        process.wait(timeout=30)
        cluster.machine.run("sh", "-euc", _AWAY)


def _rules(cluster: Cluster) -> str:
    return cluster.machine.run("iptables-save", "--table", "filter")
