"""Run by `helm test`: the operator answers, and may do what it needs to. Arguments: its URL, namespaces (none: all)."""

import sys
import time
import urllib.error
import urllib.request

from kubernetes import client, config

GROUP, VERSION, PLURAL = "registry.pier.dev", "v1alpha1", "pierregistries"


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


def registries(namespace: str | None) -> int:
    """How many there are, as the operator sees them."""
    api = client.CustomObjectsApi()
    try:
        if namespace is None:
            found = api.list_cluster_custom_object(GROUP, VERSION, PLURAL)
        else:
            found = api.list_namespaced_custom_object(GROUP, VERSION, namespace, PLURAL)
    except client.ApiException as refused:
        raise SystemExit(
            f"the operator sees no PierRegistries ({refused.reason}): set crds.enabled and rbac.create, or give it both"
        ) from None
    return len(found["items"])


def may_make_secrets(namespace: str | None) -> bool:
    wanted = {"verb": "create", "resource": "secrets", "namespace": namespace or ""}
    review = {"spec": {"resourceAttributes": wanted}}
    return client.AuthorizationV1Api().create_self_subject_access_review(review).status.allowed


def main(url: str, *namespaces: str) -> None:
    print(answer(f"{url}/readyz"))
    config.load_incluster_config()
    for namespace in namespaces or (None,):
        where = f"namespace {namespace}" if namespace else "the cluster"
        print(f"{registries(namespace)} registries in {where}")
        if not may_make_secrets(namespace):
            raise SystemExit(f"the operator may not make Secrets in {where}: set rbac.create, or give it a role")


main(*sys.argv[1:])
