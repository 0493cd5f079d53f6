"""The API server, through the official client: plain dicts in and out, and every fault as one of two exceptions."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import kubernetes.client
import kubernetes.config
import urllib3.exceptions
import yaml
from kubernetes.client.api_client import RequestSerialized
from kubernetes.client.exceptions import ApiException
from kubernetes.config import ConfigException

from pier_operator import api, metrics, trust
from pier_operator.api import Kind, Manifest

_TIMEOUT: Final = (5.0, 20.0)  # seconds to connect, and between two bytes
_APPLY: Final = "application/apply-patch+yaml"
_MERGE: Final = "application/merge-patch+json"
_JSON: Final = "application/json"
_PAGE: Final = "100"


class Unconfigured(Exception):
    """One sentence that says why there is no way to an API server, and how to give one."""


class KubeError(Exception):
    """A request that did not succeed. `retry_after` is in seconds, 0 when the server named no time."""

    def __init__(self, message: str, retry_after: float = 0) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after = retry_after


class Unreachable(KubeError):
    """No answer: whether the request was carried out is not known."""


class Refused(KubeError):
    """An answer that says no. `status` is HTTP's."""

    def __init__(self, status: int, reason: str, message: str, retry_after: float = 0) -> None:
        super().__init__(message, retry_after)
        self.status = status
        self.reason = reason

    @property
    def conflict(self) -> bool:
        return self.status == 409

    @property
    def expired(self) -> bool:
        """Whether the server no longer knows where a list had begun."""
        return self.status == 410

    @property
    def terminating(self) -> bool:
        """Whether the namespace is on its way out."""
        return self.status in {403, 409} and "being terminated" in self.message

    @property
    def invalid(self) -> bool:
        """Whether trying again cannot help."""
        return self.status in {400, 403, 422} and not self.terminating


class Kube:
    """Safe for threads. A request is tried once: who asked knows best what to do about a fault."""

    def __init__(self, client: kubernetes.client.ApiClient) -> None:
        self._client = client

    @classmethod
    def connected(cls, kubeconfig: Path | None = None) -> Kube:
        """Raises Unconfigured."""
        configuration = configured(kubeconfig)
        configuration.retries = False
        configuration.connection_pool_maxsize = 16
        client = kubernetes.client.ApiClient(configuration)
        pools = client.rest_client.pool_manager
        pools.pool_classes_by_scheme = {**pools.pool_classes_by_scheme, "https": trust.ForgivingPool}
        return cls(client)

    def get(self, kind: Kind, namespace: str, name: str) -> Manifest | None:
        try:
            return self.request("GET", path(kind, namespace, name))
        except Refused as refused:
            if refused.status == 404:
                return None
            raise

    def every(self, kind: Kind, namespace: str = "", selector: str = "") -> list[Manifest]:
        """All objects of a kind that the selector takes, of one namespace or of all."""
        return list({each["metadata"]["uid"]: each for each in self.listed(kind, namespace, selector)}.values())

    def listed(self, kind: Kind, namespace: str = "", selector: str = "") -> Iterator[Manifest]:
        """As `every`, with one page in memory. A list that was cut off begins anew, so an object may come twice."""
        for last in (False, False, True):
            try:
                yield from self._listed_once(kind, namespace, selector)
            except Refused as refused:
                if not refused.expired or last:
                    raise
            else:
                return

    def _listed_once(self, kind: Kind, namespace: str, selector: str) -> Iterator[Manifest]:
        following = ""
        while True:
            query = {"limit": _PAGE, "labelSelector": selector, "continue": following}
            page = self.request("GET", path(kind, namespace), {key: value for key, value in query.items() if value})
            following = page["metadata"].get("continue", "")
            for item in page.pop("items"):
                yield {"apiVersion": kind.api_version, "kind": kind.name, **item}
            if not following:
                return

    def create(self, manifest: Manifest) -> Manifest:
        kind = api.KINDS[manifest["kind"]]
        target = path(kind, manifest["metadata"]["namespace"])
        return self.request("POST", target, {"fieldManager": api.MANAGER}, manifest)

    def apply(self, manifest: Manifest) -> Manifest:
        """Server-side, taking over what others have set of our fields."""
        query = {"fieldManager": api.MANAGER, "force": "true"}
        return self.request("PATCH", path_of(manifest), query, manifest, _APPLY)

    def amend(self, manifest: Manifest, patch: Manifest) -> Manifest:
        """Merge-patch an object as it was seen: one that has changed since is a conflict."""
        seen = {"resourceVersion": manifest["metadata"]["resourceVersion"], "uid": manifest["metadata"]["uid"]}
        whole = {**patch, "metadata": {**patch.get("metadata", {}), **seen}}
        return self.request("PATCH", path_of(manifest), {"fieldManager": api.MANAGER}, whole, _MERGE)

    def annotate(self, manifest: Manifest, annotations: Mapping[str, str]) -> Manifest:
        patch = {"metadata": {"annotations": dict(annotations), "uid": manifest["metadata"]["uid"]}}
        return self.request("PATCH", path_of(manifest), {"fieldManager": api.MANAGER}, patch, _MERGE)

    def apply_status(self, manifest: Manifest, status: Manifest) -> Manifest:
        body = {
            "apiVersion": manifest["apiVersion"],
            "kind": manifest["kind"],
            "metadata": {key: manifest["metadata"][key] for key in ("name", "namespace", "uid")},
            "status": status,
        }
        query = {"fieldManager": api.STATUS_MANAGER, "force": "true"}
        return self.request("PATCH", f"{path_of(manifest)}/status", query, body, _APPLY)

    def replace(self, manifest: Manifest) -> Manifest:
        """Put an object in the place of the one that was seen."""
        return self.request("PUT", path_of(manifest), {"fieldManager": api.MANAGER}, manifest)

    def delete(self, manifest: Manifest) -> None:
        """This very object as it was seen, and no other of its name. One that is gone already is fine."""
        seen = {key: manifest["metadata"][key] for key in ("uid", "resourceVersion")}
        body = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background", "preconditions": seen}
        try:
            self.request("DELETE", path_of(manifest), body=body)
        except Refused as refused:
            if refused.status != 404:
                raise

    def knows(self, kind: Kind) -> bool:
        """Whether the cluster has this kind."""
        try:
            found = self.request("GET", f"/apis/{kind.group}/{kind.version}")
        except Refused as refused:
            if refused.status == 404:
                return False
            raise
        return any(each["name"] == kind.plural for each in found.get("resources", []))

    def request(
        self,
        method: str,
        target: str,
        query: Mapping[str, str] | None = None,
        body: Manifest | None = None,
        form: str = _JSON,
    ) -> Manifest:
        """Raises Refused, Unreachable."""

        def prepared() -> RequestSerialized:
            return self._client.param_serialize(
                method,
                target,
                query_params=list((query or {}).items()),
                header_params={"Accept": _JSON, "Content-Type": form},
                body=body,
                auth_settings=["BearerToken"],
            )

        metrics.REQUESTS.labels(method).inc()
        return _judged(*_answered(lambda: self._client.call_api(*prepared(), _request_timeout=_TIMEOUT)))


def configured(kubeconfig: Path | None = None) -> kubernetes.client.Configuration:
    """By this kubeconfig, else by that of KUBECONFIG, else as the pod that this is, else by ~/.kube/config.

    Raises Unconfigured.
    """
    configuration = kubernetes.client.Configuration()
    file = str(kubeconfig or os.environ.get("KUBECONFIG", ""))
    if not file and "KUBERNETES_SERVICE_HOST" in os.environ:
        with _readable("the pod's service account"):
            kubernetes.config.load_incluster_config(configuration)  # type: ignore[no-untyped-call]
        return configuration
    file = file or "~/.kube/config"
    with _readable(file):
        kubernetes.config.load_kube_config(file, client_configuration=configuration)  # type: ignore[no-untyped-call]
    return configuration


@contextmanager
def _readable(source: str) -> Iterator[None]:
    """The client judges a kubeconfig by what it trips over. Raises Unconfigured."""
    try:
        yield
    except (ConfigException, yaml.YAMLError, OSError, ValueError, TypeError, AttributeError) as wrong:
        told = " ".join(str(wrong).split()).rstrip(".")
        raise Unconfigured(
            f"{source} leads to no API server ({told}): let KUBECONFIG name a kubeconfig that can be read, or run in a "
            "pod that has a service account"
        ) from None


def path(kind: Kind, namespace: str = "", name: str = "") -> str:
    root = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
    within = f"/namespaces/{quote(namespace)}" if namespace and kind is not api.NAMESPACE else ""
    return f"{root}{within}/{kind.plural}" + (f"/{quote(name)}" if name else "")


def path_of(manifest: Manifest) -> str:
    meta = manifest["metadata"]
    return path(api.KINDS[manifest["kind"]], meta["namespace"], meta["name"])


def _answered(ask: Callable[[], Any]) -> tuple[int, Mapping[str, str], bytes]:
    try:
        answer = ask()
        return answer.status, answer.getheaders(), answer.read()
    except (urllib3.exceptions.HTTPError, ApiException, ConfigException, OSError) as wrong:
        raise Unreachable(f"the API server does not answer: {wrong}") from None


def _judged(status: int, headers: Mapping[str, str], body: bytes) -> Manifest:
    try:
        held = json.loads(body) if body else {}
    except ValueError:
        held = {}
    if status < 400:
        found: Manifest = held
        return found
    told = held if isinstance(held, dict) else {}
    message = str(told.get("message") or body[:200].decode(errors="replace"))
    raise Refused(status, str(told.get("reason", "")), message, _seconds(headers.get("Retry-After", "")))


def _seconds(text: str) -> float:
    return float(text) if text.isdigit() else 0.0
