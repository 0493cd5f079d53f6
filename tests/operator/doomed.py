"""`python -m tests.operator.doomed NAMESPACE NUMBER before|after`: the operator, which SIGKILL ends in mid-work.

It strikes at the request of that number among those about this namespace: before it is sent, or when it is carried
out and its answer has not been looked at.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import sys
from typing import Any

from pier_operator import __main__ as operator
from pier_operator.api import Manifest
from pier_operator.kube import Kube, KubeError


def main(namespace: str, number: int, moment: str) -> int:
    ask, counted = Kube.request, itertools.count(1)

    def request(kube: Kube, method: str, target: str, *rest: Any, **more: Any) -> Manifest:
        if f"/namespaces/{namespace}/" not in target or next(counted) != number:
            return ask(kube, method, target, *rest, **more)
        with contextlib.suppress(KubeError):
            if moment == "after":
                ask(kube, method, target, *rest, **more)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("SIGKILL leaves nobody")

    Kube.request = request  # type: ignore[method-assign, assignment]
    return operator.main()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
