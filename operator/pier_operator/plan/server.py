"""The registry's pods: the registry and nginx, side by side on one volume; and the Job that migrates its database."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final

from pier_operator.api import Manifest
from pier_operator.plan import database, labels, pod
from pier_operator.plan.child import Child, Condition, Plan, Situation, manifest

HTTPS: Final = 5443
PLAIN: Final = 5080
PRIVATE: Final = 9090
AVAILABLE: Final = "RegistryAvailable"
PROXY: Final = "ProxyAvailable"
MIGRATED: Final = "SchemaMigrated"

# Mounted folders follow their Secret, mounted files would not; so the data folder links into them.
_PREPARE: Final = """set -eu
umask 077
mkdir -p /data/run /data/tls
ln -sfn /etc/pier/users/users.htpasswd /data/users.htpasswd
ln -sfn /etc/pier/users/rights.yaml /data/rights.yaml
ln -sfn /etc/pier/users/mode /data/mode
"""
# Until the Service has forgotten the pod, nginx goes on; it ends when its last transfer has, and the registry after it.
_FORGOTTEN: Final = "sleep 5"
_GONE: Final = "sleep 6; while [ -e /data/run/nginx.pid ]; do sleep 1; done"
_LONGEST_TRANSFER: Final = 600
# Without its database a pod still tells clients to come again, which nothing else would say better: half a minute.
_PATIENCE: Final = 10
_RETRY: Final = timedelta(minutes=1)
# Containers give arguments, no command: the image's entrypoint is an init that hands signals on.


def migration(situation: Situation, facts: Mapping[str, Any]) -> Plan:
    """A Job for each pair of image and database: made when the database is ready, and gate of the registry's pods."""
    image = situation.settings.registry_image
    mark = sha256(f"{image}\0{facts['database-endpoint']}".encode()).hexdigest()[:8]
    name = situation.named(f"migrate-{mark}")
    job = situation.observed.child("Job", name)
    condition = _progress(name, job, bool(facts["database-ready"]), _last_words(situation, facts))
    wait = _until_again(job, situation.now)
    again = wait is not None and wait <= timedelta(0)
    wanted = Child(_job(situation, facts, name), once=True, gate=bool(facts["database-ready"]))
    told = {"migration-job": name, "migrated": condition.holds is True}
    return Plan(() if again else (wanted,), (condition,), requeue=wait, facts=told)


def server(situation: Situation, facts: Mapping[str, Any]) -> Plan:
    """The Deployment, whose changes wait for the database and its migration."""
    gate = situation.registry.mode == "Hibernated" or bool(
        facts["database-ready"] and facts["migrated"] and facts["tls-ready"]
    )
    return Plan(
        (Child(_deployment(situation, facts), gate=gate),),
        _conditions(situation),
        facts={"serving": is_serving(situation)},
    )


def account(situation: Situation) -> Plan:
    """All pods have one name and no rights."""
    return Plan((Child(manifest("ServiceAccount", situation.named(), automountServiceAccountToken=False)),))


def is_serving(situation: Situation) -> bool:
    """Whether a pod takes requests, of whatever version."""
    live = situation.observed.child("Deployment", situation.named())
    return bool(live and (live.get("status") or {}).get("readyReplicas"))


def _job(situation: Situation, facts: Mapping[str, Any], name: str) -> Manifest:
    held = pod.template(
        situation,
        labels.of_pods(situation.registry, "migration"),
        situation.registry.server.pods,
        situation.settings.registry_user,
        restartPolicy="Never",  # so that the logs of what failed stay
        containers=[
            {
                "name": "migrate",
                "image": situation.settings.registry_image,
                "imagePullPolicy": situation.settings.image_pull_policy,
                "args": ["migrate", "--wait", "20"],
                "terminationMessagePolicy": "FallbackToLogsOnError",
                "env": [pod.from_secret("PIER_DATABASE_URL", situation.named("db-url"), "url")],
                "resources": pod.resources({}, "50m", "128Mi", "512Mi"),
                "securityContext": pod.CONTAINER,
                "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}, *_database_mount(facts)],  # noqa: S108
            }
        ],
        volumes=[{"name": "tmp", "emptyDir": {}}, *_database_volume(situation, facts)],
    )
    return manifest("Job", name, spec={"backoffLimit": 4, "activeDeadlineSeconds": 3600, "template": held})


def _last_words(situation: Situation, facts: Mapping[str, Any]) -> str:
    said = pod.last_words(situation, "migration")
    return f"at {facts['database-endpoint']} {said}" if said else ""


def _until_again(job: Manifest | None, now: datetime) -> timedelta | None:
    """How long a failed Job stays for its log to be read, before one is made anew; None while none has failed."""
    failed = _state(job, "Failed")
    if failed is None:
        return None
    return datetime.fromisoformat(failed["lastTransitionTime"]) + _RETRY - now


def _state(job: Manifest | None, kind: str) -> Manifest | None:
    conditions = ((job or {}).get("status") or {}).get("conditions", [])
    return next((each for each in conditions if each["type"] == kind and each["status"] == "True"), None)


def _progress(name: str, job: Manifest | None, ready: bool, said: str) -> Condition:
    if _state(job, "Complete"):
        return Condition(MIGRATED, True, "Migrated", "the database has the tables of this version")
    if _state(job, "Failed"):
        text = f"Job {name} failed: {said or 'see the log of its pods'}; it is made anew in a minute"
        return Condition(MIGRATED, False, "MigrationFailed", text)
    if job is None and not ready:
        return Condition(MIGRATED, False, "WaitingForDatabase", "the migration waits for the database")
    if said:
        return Condition(MIGRATED, False, "Retrying", f"Job {name} tries again: {said}")
    return Condition(MIGRATED, False, "Migrating", f"Job {name} brings the database up to this version")


def _deployment(situation: Situation, facts: Mapping[str, Any]) -> Manifest:
    registry = situation.registry
    chosen = registry.server.pods
    held = pod.template(
        situation,
        labels.of_pods(registry, "registry"),
        chosen,
        situation.settings.registry_user,
        terminationGracePeriodSeconds=_LONGEST_TRANSFER,
        initContainers=[_preparation(situation)],
        containers=[_registry(situation, facts), _proxy(situation)],
        volumes=_volumes(situation, facts),
        **_beside_each_other(situation),
    )
    spec = {
        "replicas": 0 if registry.mode == "Hibernated" else registry.server.replicas,
        "selector": {"matchLabels": labels.selector(registry, "registry")},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        "progressDeadlineSeconds": 900,
        "template": pod.restarted_by(held, chosen, database_url=str(facts.get("database-url", ""))),
    }
    return manifest("Deployment", situation.named(), spec=spec)


def _beside_each_other(situation: Situation) -> Manifest:
    """A volume of one node takes a second pod only on that node."""
    if situation.registry.storage.access_mode != "ReadWriteOnce":
        return {}
    term = {
        "labelSelector": {"matchLabels": labels.selector(situation.registry, "registry")},
        "topologyKey": "kubernetes.io/hostname",
    }
    return {"affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}}


def _preparation(situation: Situation) -> Manifest:
    return {
        "name": "prepare",
        "image": situation.settings.registry_image,
        "imagePullPolicy": situation.settings.image_pull_policy,
        "command": ["sh", "-c", _PREPARE],
        "resources": pod.resources({}, "10m", "16Mi", "64Mi"),
        "securityContext": pod.CONTAINER,
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }


def _registry(situation: Situation, facts: Mapping[str, Any]) -> Manifest:
    return {
        "name": "registry",
        "image": situation.settings.registry_image,
        "imagePullPolicy": situation.settings.image_pull_policy,
        "args": ["serve", "--no-proxy"],
        "env": _environment(situation, facts),
        "lifecycle": {"preStop": {"exec": {"command": ["sh", "-c", _GONE]}}},
        "startupProbe": {**_asked("/healthz"), "periodSeconds": 2, "failureThreshold": 90},
        "livenessProbe": {**_asked("/healthz"), "periodSeconds": 10, "failureThreshold": 6, "timeoutSeconds": 5},
        "readinessProbe": {**_asked("/readyz"), "periodSeconds": 3, "failureThreshold": _PATIENCE, "timeoutSeconds": 5},
        "resources": pod.resources(situation.registry.server.resources, "100m", "256Mi", "1Gi"),
        "securityContext": pod.CONTAINER,
        "volumeMounts": [
            {"name": "data", "mountPath": "/data"},
            {"name": "run", "mountPath": "/data/run"},
            {"name": "users", "mountPath": "/etc/pier/users", "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108
            *_database_mount(facts),
        ],
    }


def _environment(situation: Situation, facts: Mapping[str, Any]) -> list[Manifest]:
    registry = situation.registry
    server = registry.server
    values = {
        "PIER_DATA": "/data",
        "PIER_V1": server.v1.lower(),
        "PIER_UNTAGGED_GRACE": server.untagged_grace,
        "PIER_MAX_LAYER": server.max_layer.removesuffix("i"),
        "PIER_DEFAULT_ROLE": "none",
        **_shared(situation),
    }
    if registry.host:
        values["PIER_PUBLIC_URL"] = f"https://{facts['names'].outside}"
    if registry.expose.trusted:
        values["PIER_TRUSTED_PROXIES"] = ",".join(registry.expose.trusted)
    plain: list[Manifest] = [{"name": name, "value": value} for name, value in sorted(values.items())]
    return [*plain, pod.from_secret("PIER_DATABASE_URL", situation.named("db-url"), "url")]


def _shared(situation: Situation) -> dict[str, str]:
    """What nginx and the registry have to agree on."""
    registry = situation.registry
    return {
        "PIER_ANONYMOUS_PULL": "on" if registry.anonymous_pull else "off",
        "PIER_WORKERS": str(registry.server.workers),
    }


def _proxy(situation: Situation) -> Manifest:
    values = {
        "PIER_DATA": "/data",
        "PIER_PORT": str(HTTPS),
        "PIER_HEALTH_HOST": "0.0.0.0",  # noqa: S104  the kubelet asks from outside of the pod
        "PIER_HEALTH_PORT": str(PRIVATE),
        **_shared(situation),
    }
    ports = [
        {"name": "https", "containerPort": HTTPS, "protocol": "TCP"},
        {"name": "private", "containerPort": PRIVATE, "protocol": "TCP"},
    ]
    if situation.registry.expose.by_plain_http:
        values["PIER_PLAIN_PORT"] = str(PLAIN)
        ports.append({"name": "plain", "containerPort": PLAIN, "protocol": "TCP"})
    return {
        "name": "proxy",
        "image": situation.settings.registry_image,
        "imagePullPolicy": situation.settings.image_pull_policy,
        "args": ["proxy"],
        "env": [{"name": name, "value": value} for name, value in sorted(values.items())],
        "ports": ports,
        "lifecycle": {"preStop": {"exec": {"command": ["sh", "-c", _FORGOTTEN]}}},
        "livenessProbe": {**_asked("/nginx"), "periodSeconds": 10, "failureThreshold": 6, "timeoutSeconds": 5},
        "readinessProbe": {**_asked("/nginx"), "periodSeconds": 3, "failureThreshold": 2, "timeoutSeconds": 5},
        "resources": pod.resources(situation.registry.server.proxy_resources, "50m", "64Mi", "256Mi"),
        "securityContext": pod.CONTAINER,
        "volumeMounts": [
            {"name": "data", "mountPath": "/data", "readOnly": True},
            {"name": "run", "mountPath": "/data/run"},
            {"name": "tls", "mountPath": "/data/tls", "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108
        ],
    }


def _asked(path: str) -> Manifest:
    return {"httpGet": {"path": path, "port": PRIVATE, "scheme": "HTTP"}}


def _volumes(situation: Situation, facts: Mapping[str, Any]) -> list[Manifest]:
    tls = situation.registry.tls.secret or situation.named("tls")
    return [
        {"name": "data", "persistentVolumeClaim": {"claimName": facts["claim"]}},
        {"name": "run", "emptyDir": {}},
        {"name": "tmp", "emptyDir": {}},
        {"name": "users", "secret": {"secretName": situation.named("users-file"), "defaultMode": 0o440}},
        {"name": "tls", "secret": {"secretName": tls, "defaultMode": 0o440}},
        *_database_volume(situation, facts),
    ]


def _database_mount(facts: Mapping[str, Any]) -> list[Manifest]:
    mount = {"name": "database", "mountPath": "/etc/pier/database", "readOnly": True}
    return [mount] if facts.get("database-ca") else []


def _database_volume(situation: Situation, facts: Mapping[str, Any]) -> list[Manifest]:
    if not facts.get("database-ca"):
        return []
    items = [{"key": "ca.crt", "path": "ca.crt"}]
    held = {"secretName": situation.named("db-url"), "items": items, "defaultMode": 0o440}
    return [{"name": "database", "secret": held}]


def _conditions(situation: Situation) -> tuple[Condition, ...]:
    live = situation.observed.child("Deployment", situation.named())
    if situation.registry.mode == "Hibernated":
        asleep = Condition(AVAILABLE, False, "Hibernated", "the pods are stopped; mode Active brings them back")
        return asleep, Condition(PROXY, False, "Hibernated", "the pods are stopped")
    if live is None or not live["spec"].get("replicas"):
        text = "the pods wait for database, migration and certificate"
        return Condition(AVAILABLE, False, "Waiting", text), Condition(PROXY, False, "Waiting", text)
    return _available(situation, live), _proxy_available(situation)


def _available(situation: Situation, live: Manifest) -> Condition:
    status = live.get("status") or {}
    states = {each["type"]: each for each in status.get("conditions", [])}
    trouble = pod.trouble(situation, "registry")
    if database.is_rolled(live):
        return Condition(AVAILABLE, True, "Available", "every pod is ready")
    if states.get("ReplicaFailure", {}).get("status") == "True":
        text = f"pods cannot be made: {states['ReplicaFailure'].get('message', '')}"
        return Condition(AVAILABLE, False, "PodsRefused", text)
    if trouble:
        return Condition(AVAILABLE, is_serving(situation), "PodTrouble", trouble)
    if is_serving(situation):
        return Condition(AVAILABLE, True, "RollingOut", "pods serve while others are replaced")
    return Condition(AVAILABLE, False, "Starting", f"pods start: see Deployment {situation.named()}")


def _proxy_available(situation: Situation) -> Condition:
    ready = [
        container
        for each in situation.observed.pods
        for container in (each.get("status") or {}).get("containerStatuses", [])
        if container["name"] == "proxy" and container.get("ready")
    ]
    if ready:
        return Condition(PROXY, True, "Available", "nginx takes requests")
    return Condition(PROXY, False, "Starting", "nginx is not ready in any pod")
