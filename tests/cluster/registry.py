"""A registry on the cluster as its users see it: by the address that its status tells, with what it publishes."""

from __future__ import annotations

import ssl
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from pier_operator.api import Manifest
from tests.cluster.cluster import Cluster
from tests.operator.cluster import Api, eventually

INSTALLED_WITHIN: Final = 180.0  # seconds; the figure itself is the benchmark's


@dataclass(slots=True)
class Registry:
    """`api` speaks to the cluster about it."""

    cluster: Cluster
    api: Api
    namespace: str
    name: str = "pier"

    def create(self, **spec: Any) -> None:
        self.api.create(self.namespace, self.name, spec)

    def change(self, **spec: Any) -> None:
        self.api.change(self.namespace, self.name, spec=spec)

    @property
    def resource(self) -> Manifest:
        found = self.api.get("PierRegistry", self.namespace, self.name)
        assert found, f"there is no PierRegistry {self.namespace}/{self.name}"
        return found

    @property
    def status(self) -> Manifest:
        return self.resource.get("status") or {}

    def condition(self, kind: str) -> Manifest:
        return self.api.condition(self.namespace, kind, self.name)

    def wait(
        self, kind: str = "Ready", status: str = "True", *, reason: str = "", within: float = INSTALLED_WITHIN
    ) -> Manifest:
        """Until this generation's condition is so. Raises AssertionError with everything that may tell why not."""

        def look() -> Manifest | None:
            found = self.condition(kind)
            current = found.get("observedGeneration") == self.resource["metadata"]["generation"]
            holds = current and found.get("status") == status and reason in ("", found.get("reason"))
            return found if holds else None

        return eventually(look, within, self.told)

    def told(self) -> str:
        pods = self.cluster.kubectl("get", "pods", "-n", self.namespace, "-o", "wide", check=False)
        events = self.cluster.kubectl("get", "events", "-n", self.namespace, "--sort-by=.lastTimestamp", check=False)
        resource = self.cluster.kubectl("get", "pierregistry", "-n", self.namespace, "-o", "yaml", check=False)
        return f"{resource}\n{pods}\n{events[-6000:]}"

    @property
    def host(self) -> str:
        """What clients type before the name of an image."""
        return str(self.status["endpoint"])

    def password(self, user: str = "admin") -> str:
        """A generated one."""
        if user == "admin":
            return self.api.secret(self.namespace, f"{self.name}-admin")["password"]
        return self.api.secret(self.namespace, f"{self.name}-users")[user]

    @property
    def ca(self) -> str:
        found = self.api.get("ConfigMap", self.namespace, f"{self.name}-ca")
        assert found
        return str(found["data"]["ca.crt"])

    def write_ca(self, place: Path) -> Path:
        place.write_text(self.ca)
        return place

    def client(
        self, user: str = "admin", password: str = "", *, address: str = "", trusting: ssl.SSLContext | None = None
    ) -> httpx.Client:
        """Through the front door at `address` (`ip` or `ip:port`), which is the Ingress's unless told.

        It trusts what the registry publishes now, or as `trusting` says.
        """
        name = self.host.partition(":")[0]

        def named(request: httpx.Request) -> None:
            request.extensions["sni_hostname"] = name

        return httpx.Client(
            base_url=f"https://{address or self.cluster.front}",
            headers={"Host": self.host},
            auth=(user, password or self.password(user)),
            verify=trusting or ssl.create_default_context(cadata=self.ca),
            timeout=60,
            event_hooks={"request": [named]},
        )

    def answers(self, client: httpx.Client) -> None:
        """Until what is in front leads to it: Traefik learns of a new Ingress or route some time after Ready."""
        eventually(lambda: client.get("/v2/").status_code == 200, told=self.told)

    def pods(self, part: str = "") -> list[Manifest]:
        """Of the registry, or of its `part` (`registry`, `database`)."""
        selector = f"registry.pier.dev/registry={self.name}"
        if part:
            selector += f",app.kubernetes.io/component={part}"
        return list(
            self.api.kube.request("GET", f"/api/v1/namespaces/{self.namespace}/pods", {"labelSelector": selector})[
                "items"
            ]
        )

    def kill(self, pod: Manifest) -> None:
        """At once, without a word to its processes."""
        self.cluster.kubectl(
            "delete", "pod", pod["metadata"]["name"], "-n", self.namespace, "--grace-period=0", "--force"
        )

    @property
    def volume(self) -> str:
        """Where the machine has the registry's volume."""
        claim = self.api.get("PersistentVolumeClaim", self.namespace, f"{self.name}-data")
        assert claim
        return f"/var/lib/machine/{claim['spec']['volumeName']}"

    def used(self) -> int:
        """Bytes in use on the registry's volume, as the node counts them."""
        return int(self.cluster.machine.run("df", "--block-size=1", "--output=used", self.volume).split()[-1])

    def look(self) -> None:
        """Have the operator look at it now."""
        self.api.change(self.namespace, self.name, metadata={"annotations": {"test/look": str(time.time())}})
