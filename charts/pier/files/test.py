"""Run by `helm test`: the operator answers, and may do what it needs to. Arguments: its URL, namespaces (none: all)."""

import sys
import time
import urllib.error
import urllib.request

from pier_operator.api import PIER_REGISTRY
from pier_operator.kube import Kube, Refused


def answer(url: str) -> str:
    """What it says once it is ready; it may just have started."""
    for _ in range(30):
        try:
            with urllib.request.urlopen(url, timeout=5) as told:  # noqa: S310  a URL of the chart's own
                return told.read().decode()
        except (urllib.error.URLError, OSError) as wrong:
            last = wrong
            time.sleep(1)
    raise SystemExit(f"{url} does not answer: {last}")


def registries(kube: Kube, namespace: str) -> int:
    """How many there are, as the operator sees them."""
    try:
        return len(kube.every(PIER_REGISTRY, namespace))
    except Refused as refused:
        raise SystemExit(
            f"the operator sees no PierRegistries ({refused.reason}): set crds.enabled and rbac.create, or give it both"
        ) from None


def may_make_secrets(kube: Kube, namespace: str) -> bool:
    wanted = {"verb": "create", "resource": "secrets", "namespace": namespace}
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
    asked = {**review, "spec": {"resourceAttributes": wanted}}
    told = kube.request("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body=asked)
    return bool(told["status"]["allowed"])


def main(url: str, *namespaces: str) -> None:
    print(answer(f"{url}/readyz"))
    kube = Kube.connected()
    for namespace in namespaces or ("",):
        where = f"namespace {namespace}" if namespace else "the cluster"
        print(f"{registries(kube, namespace)} registries in {where}")
        if not may_make_secrets(kube, namespace):
            raise SystemExit(f"the operator may not make Secrets in {where}: set rbac.create, or give it a role")


main(*sys.argv[1:])
