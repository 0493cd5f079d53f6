"""`python -m pier_operator.nodes`: keep the files of one node, until SIGTERM. They stay when it ends."""

from __future__ import annotations

import argparse
import logging
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pier_operator import api, claim
from pier_operator.claim import Verdict
from pier_operator.kube import Kube, KubeError, Unconfigured, path
from pier_operator.nodes.agent import Agent
from pier_operator.nodes.files import Files, Place

_PAUSE: Final = 1.0  # seconds between two rounds
_AGAIN: Final = 600.0  # seconds after which the same report is written anew, for somebody may have lost it
_MERGE: Final = "application/merge-patch+json"
_MANAGER: Final = "pier-nodes"

_log = logging.getLogger("pier.nodes")


@dataclass(slots=True)
class Reporter:
    """One key of one ConfigMap is this node's, and all that the agent may write in the cluster."""

    kube: Kube
    namespace: str
    name: str
    node: str
    _told: str = ""
    _until: float = 0.0
    _faults: int = 0

    def report(self, verdicts: Mapping[str, Verdict]) -> None:
        """Only news, and what is old; a fault is tried again, each time later."""
        text, now = claim.report(verdicts), time.monotonic()
        if now < self._until and (text == self._told or self._faults):
            return
        try:
            target = path(api.KINDS["ConfigMap"], self.namespace, self.name)
            self.kube.request("PATCH", target, {"fieldManager": _MANAGER}, {"data": {self.node: text}}, _MERGE)
        except KubeError as wrong:
            self._faults += 1
            self._until = now + min(2.0**self._faults, 60.0) * random.uniform(0.5, 1)  # noqa: S311
            _log.warning("not reported: %s", wrong.message)
        else:
            self._told, self._until, self._faults = text, now + _AGAIN, 0


def main(arguments: list[str] | None = None) -> int:
    given = parsed(arguments)
    logging.basicConfig(
        level=os.environ.get("LOG_LEVEL", "INFO"), format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    try:
        reporter = Reporter(Kube.connected(), given.namespace, given.name, given.node)
    except Unconfigured as wrong:
        print(f"pier-nodes: {wrong}", file=sys.stderr)
        return 2
    places = [Place(root, by_hosts_toml=True) for root in given.containerd] + [Place(root) for root in given.docker]
    agent = Agent(given.claims, Files(places, f"{given.namespace}/{given.name}"), tuple(given.allow))
    while not ended.wait(_PAUSE):
        verdicts = agent.round()
        if verdicts is not None:
            reporter.report(verdicts)
    return 0


def parsed(arguments: list[str] | None = None) -> argparse.Namespace:
    """Exits with code 2 for arguments that are none."""
    parser = argparse.ArgumentParser(prog="pier-nodes", description=__doc__)
    parser.add_argument("--node", required=True, help="name of this node")
    parser.add_argument("--namespace", required=True, help="namespace of the operator")
    parser.add_argument("--name", required=True, help="name of the ConfigMap for reports, and in the files' first line")
    parser.add_argument("--claims", required=True, type=Path, help="folder with what the operator asks for")
    parser.add_argument("--containerd", default=[], action="append", type=Path, help="containerd's config_path")
    parser.add_argument("--docker", default=[], action="append", type=Path, help="Docker's certs.d")
    parser.add_argument("--allow", default=[], action="append", help="a host that may be trusted, or *.domain")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
