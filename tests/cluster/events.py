"""What happens to a registry in its life, each time while clients push and pull: hands back what they saw of it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable

from pier_operator.api import Manifest
from tests.cluster import images, traffic
from tests.cluster.cluster import SYSTEM
from tests.cluster.registry import Registry
from tests.cluster.traffic import Failure, Traffic
from tests.operator.cluster import eventually


def upgrade(registry: Registry) -> Traffic:
    """Of operator and registry. The first version is its own predecessor: the same images by other names."""
    cluster = registry.cluster
    for image in (images.OPERATOR, images.REGISTRY):
        cluster.ctr("images", "tag", "--force", image, f"{image}-next")
    tag = images.REGISTRY.rpartition(":")[2] + "-next"
    with traffic.during(registry) as seen:
        cluster.install("pier", f"--set=image.tag={tag}", f"--set=operands.registry.image.tag={tag}")
        _come(registry, "registry", lambda pod: pod["spec"]["containers"][0]["image"].endswith("-next"))
    return seen


def renewal(registry: Registry) -> Traffic:
    """Of the certificate, by a new CA. Clients have a time to learn of it; here ten seconds and more."""
    registry.change(tls={"caPropagation": "20s"})
    registry.wait()
    before = registry.status["tls"]
    with traffic.during(registry) as seen:
        registry.api.change(
            registry.namespace, registry.name, metadata={"annotations": {"registry.pier.dev/rotate-ca": "1"}}
        )
        eventually(lambda: registry.status["tls"]["caPhase"] == "Publishing", 20)
        seen.believe(registry.ca)
        eventually(
            lambda: registry.status["tls"]["fingerprintSHA256"] != before["fingerprintSHA256"], 60, registry.told
        )
        time.sleep(5)  # connections that see the new certificate
    return seen


def change_of_users(registry: Registry) -> Traffic:
    """One comes and goes; it is not the one who pushes and pulls."""
    with traffic.during(registry) as seen:
        registry.change(auth={"users": [{"name": "bob", "role": "Pull"}]})
        eventually(lambda: "bob" in registry.api.secret(registry.namespace, f"{registry.name}-users"), 20)
        password = registry.password("bob")
        eventually(lambda: _status(registry, "bob", password) == 200, 20, registry.told)
        registry.change(auth={"users": []})
        eventually(lambda: _status(registry, "bob", password) == 401, 20, registry.told)
    return seen


def kill_of_the_operator(registry: Registry) -> Traffic:
    cluster = registry.cluster
    with traffic.during(registry) as seen:
        cluster.kubectl("delete", "pods", "-n", SYSTEM, "--all", "--grace-period=0", "--force")
        cluster.kubectl("rollout", "status", "deployment/pier-operator", "-n", SYSTEM, "--timeout=55s")
    return seen


def kill_of_the_database(registry: Registry) -> Traffic:
    with traffic.during(registry) as seen:
        (killed,) = registry.pods("database")
        registry.kill(killed)
        _come(registry, "database", lambda pod: pod["metadata"]["uid"] != killed["metadata"]["uid"])
        registry.wait()
        _answered_again(seen)
    return seen


def rotation_of_the_password(registry: Registry) -> Traffic:
    """Of the registry's user in the database."""
    with traffic.during(registry) as seen:
        new = "n" + hashlib.sha256(str(time.time()).encode()).hexdigest()
        registry.api.patch("Secret", registry.namespace, "pier-db", {"stringData": {"password": new}})
        eventually(lambda: _has_two_passwords(registry), 30, registry.told)
        eventually(lambda: not _has_two_passwords(registry), 150, registry.told)
        registry.wait()
        _answered_again(seen)
    return seen


def _has_two_passwords(registry: Registry) -> bool:
    return "previous-password" in registry.api.secret(registry.namespace, "pier-db")


def kill_of_the_registry(registry: Registry) -> Traffic:
    """One pod is one pod: who asks meanwhile is refused."""
    with traffic.during(registry) as seen:
        killed = registry.pods("registry")  # and those that another event has replaced, but not ended yet
        for each in killed:
            registry.kill(each)
        ended = {each["metadata"]["uid"] for each in killed}
        _come(registry, "registry", lambda pod: pod["metadata"]["uid"] not in ended)
        _answered_again(seen)
    return seen


def beside_waiting(seen: Traffic) -> list[Failure]:
    """All failures but those that tell the client to come again."""
    return [each for each in seen.failures if each.status != 503 or not each.retry_after]


def _come(registry: Registry, part: str, is_new: Callable[[Manifest], bool]) -> None:
    """Until each pod of this part is one of the new ones, and is ready."""

    def look() -> bool:
        pods = registry.pods(part)
        return bool(pods) and all(is_new(pod) and _is_ready(pod) for pod in pods)

    eventually(look, 150, registry.told)


def _answered_again(seen: Traffic) -> None:
    """Or still: traffic that ended before the last failure would not know how long it took."""
    answered = seen.requests - len(seen.failures)
    eventually(lambda: seen.requests - len(seen.failures) > answered + 100, 60, seen.told)


def _is_ready(pod: Manifest) -> bool:
    conditions = pod["status"].get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _status(registry: Registry, user: str, password: str) -> int:
    with registry.client(user, password) as client:
        return client.get("/v2/").status_code
