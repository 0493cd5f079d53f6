"""The managed database: one MySQL, whose password is what its Secret says at every start.

Secret NAME-db is the truth: change its `password`, and MySQL and the registry restart with the new one, while MySQL
still takes the one of before. MySQL is told by an init-file at every start, so a lost or restored volume heals, too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Final

from pier_operator import x509
from pier_operator.api import Manifest
from pier_operator.plan import labels, pod, volume
from pier_operator.plan.child import Child, Condition, Plan, Situation, manifest, secret, together
from pier_operator.spec import ManagedDatabase

PORT: Final = 3306
READY: Final = "DatabaseReady"
_USER: Final = "pier"
_DATABASE: Final = "pier"
_PASSWORD: Final = re.compile(r"[A-Za-z0-9_.~-]{16,128}")
_TLS_LIFE: Final = timedelta(days=3650)
_OPTIONS: Final = (
    "--datadir=/var/lib/mysql/db",
    "--init-file=/etc/pier/init/init.sql",
    "--socket=/run/mysqld/mysqld.sock",
    "--pid-file=/run/mysqld/mysqld.pid",
    "--tmpdir=/tmp",
    "--secure-file-priv=NULL",
    "--skip-log-bin",
    "--skip-name-resolve",
    "--performance-schema=OFF",
    "--mysqlx=OFF",
    "--require-secure-transport=ON",
    "--ssl-ca=/etc/pier/tls/ca.crt",
    "--ssl-cert=/etc/pier/tls/tls.crt",
    "--ssl-key=/etc/pier/tls/tls.key",
    "--transaction-isolation=READ-COMMITTED",
)
# A volume is either empty, or holds a `new` that died on its way, or a whole `db`.
_START: Final = """set -eu
cd /var/lib/mysql
if [ ! -d db ]; then
  rm -rf new.tmp
  mysqld --no-defaults --initialize-insecure --datadir=/var/lib/mysql/new.tmp --tmpdir=/tmp --secure-file-priv=NULL
  sync
  mv new.tmp db
  sync
fi
exec mysqld --no-defaults "$@"
"""
_ASK: Final = (
    "MYSQL_PWD=$DATABASE_PASSWORD exec mysql --no-defaults --protocol=TCP --host=127.0.0.1 --ssl-mode=REQUIRED "
    '--connect-timeout=4 --user=pier --execute="SELECT 1" pier'
)


@dataclass(frozen=True, slots=True)
class Login:
    """`previous` is the password of before for as long as a pod may use it."""

    password: str
    previous: str = ""
    invalid: bool = False


def managed(situation: Situation, database: ManagedDatabase) -> Plan:
    login = _login(situation)
    tls = _tls(situation)
    children = (
        Child(secret(situation.named("db"), _truth(login, situation)), kept=True, retained=True),
        Child(secret(situation.named("db-init"), {"init.sql": init_file(login), "password": login.password})),
        Child(secret(situation.named("db-tls"), tls, "kubernetes.io/tls"), kept=True),
        Child(secret(situation.named("db-url"), {"url": _url(situation, login), "ca.crt": tls["ca.crt"]})),
        Child(_service(situation)),
        Child(_stateful_set(situation, database, login, tls["tls.crt"])),
    )
    claim = volume.claim(situation, situation.named("mysql"), database.volume)
    ready, condition = _readiness(situation, login)
    facts = {
        "database-ready": ready,
        "database-endpoint": f"{situation.named('mysql')}.{situation.registry.namespace}.svc:{PORT}",
        "database-secret": situation.named("db"),
        "database-url": _digest(_url(situation, login)),
        "database-ca": True,
    }
    return together([claim, Plan(children, (condition,), facts=facts)])


def init_file(login: Login) -> str:
    """One statement a line, as mysqld wants it. The user that owns everything can log in from nowhere."""
    lines = [
        f"CREATE DATABASE IF NOT EXISTS `{_DATABASE}` CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin;",
        f"CREATE USER IF NOT EXISTS '{_USER}'@'%' IDENTIFIED BY '{login.previous or login.password}';",
    ]
    if login.previous:
        lines.append(f"ALTER USER '{_USER}'@'%' IDENTIFIED BY '{login.previous}';")
        lines.append(f"ALTER USER '{_USER}'@'%' IDENTIFIED BY '{login.password}' RETAIN CURRENT PASSWORD;")
    else:
        lines.append(f"ALTER USER '{_USER}'@'%' IDENTIFIED BY '{login.password}';")
        lines.append(f"ALTER USER '{_USER}'@'%' DISCARD OLD PASSWORD;")
    lines.append(f"GRANT ALL ON `{_DATABASE}`.* TO '{_USER}'@'%';")
    lines.append("ALTER USER 'root'@'localhost' ACCOUNT LOCK;")
    return "".join(f"{line}\n" for line in lines)


def _login(situation: Situation) -> Login:
    """What the Secret says, unless MySQL could not take it; what MySQL was told last, when the Secret is lost."""
    held = situation.observed.secret(situation.named("db"))
    told = situation.observed.secret(situation.named("db-init")).get("password", "")
    wanted = held.get("password", "") or told or situation.chance.password()
    if not _PASSWORD.fullmatch(wanted):
        return Login(told or wanted, held.get("previous-password", ""), invalid=True)
    previous = held.get("previous-password", "")
    if told and told != wanted:
        return Login(wanted, told)
    return Login(wanted, "" if _all_rolled(situation) else previous)


def _truth(login: Login, situation: Situation) -> Mapping[str, str]:
    """An invalid password stays in the Secret, so that who wrote it finds it."""
    held = situation.observed.secret(situation.named("db"))
    password = held["password"] if login.invalid else login.password
    truth = {"username": _USER, "password": password, "database": _DATABASE}
    return truth | ({"previous-password": login.previous} if login.previous else {})


def _all_rolled(situation: Situation) -> bool:
    """Whether MySQL and every registry pod run with what is written down."""
    server = situation.observed.child("StatefulSet", situation.named("mysql"))
    pods = situation.observed.child("Deployment", situation.named())
    return bool(server and pods) and is_rolled(server) and is_rolled(pods)


def is_rolled(workload: Manifest | None) -> bool:
    """Whether a StatefulSet or Deployment has all its pods at its latest template, and ready."""
    if workload is None:
        return False
    status, wanted = workload.get("status") or {}, workload["spec"].get("replicas", 1)
    current = status.get("observedGeneration") == workload["metadata"].get("generation")
    counts = [status.get(name, 0) for name in ("replicas", "updatedReplicas", "readyReplicas")]
    if workload["kind"] == "StatefulSet":
        counts[1] = wanted if status.get("currentRevision") == status.get("updateRevision") else counts[1]
    return current and all(count == wanted for count in counts)


def _tls(situation: Situation) -> Mapping[str, str]:
    """A CA and certificate of the database's own, between MySQL and the registry only, for as long as both live."""
    held = situation.observed.secret(situation.named("db-tls"))
    used = x509.read(held.get("tls.crt", ""), held.get("tls.key", ""))
    if used and held.get("ca.crt") and situation.now < used.renew_at(situation.registry.tls.renew_at):
        return {name: held[name] for name in ("ca.crt", "tls.crt", "tls.key")}
    now, chance = situation.now, situation.chance
    name = situation.named("mysql")
    ca = x509.authority(f"{name} of {situation.registry.namespace}", chance.key(), chance.serial(), now, _TLS_LIFE)
    names = [name, f"{name}.{situation.registry.namespace}.svc"]
    made = x509.leaf(ca, chance.key(), chance.serial(), names, (now, now + _TLS_LIFE))
    return {"ca.crt": ca.text, "tls.crt": made.text, "tls.key": made.key}


def _url(situation: Situation, login: Login) -> str:
    host = f"{situation.named('mysql')}.{situation.registry.namespace}.svc"
    return f"mysql+pymysql://{_USER}:{login.password}@{host}:{PORT}/{_DATABASE}?ssl_ca=/etc/pier/database/ca.crt"


def _service(situation: Situation) -> Manifest:
    spec = {
        "clusterIP": "None",
        "selector": labels.selector(situation.registry, "database"),
        "ports": [{"name": "mysql", "port": PORT, "targetPort": "mysql", "protocol": "TCP"}],
    }
    return manifest("Service", situation.named("mysql"), spec=spec)


def _stateful_set(situation: Situation, database: ManagedDatabase, login: Login, certificate: str) -> Manifest:
    replicas = 0 if situation.registry.mode == "Hibernated" and volume.is_idle(situation) else 1
    held = pod.template(
        situation,
        labels.of_pods(situation.registry, "database"),
        database.pods,
        situation.settings.mysql_user,
        terminationGracePeriodSeconds=120,
        containers=[_container(situation, database)],
        volumes=_volumes(situation),
    )
    spec = {
        "replicas": replicas,
        "serviceName": situation.named("mysql"),
        # The other policy never replaces a pod that does not become ready.
        "podManagementPolicy": "Parallel",
        "selector": {"matchLabels": labels.selector(situation.registry, "database")},
        "template": pod.restarted_by(
            held, database.pods, database_password=_digest(login.password), database_tls=_digest(certificate)
        ),
    }
    return manifest("StatefulSet", situation.named("mysql"), spec=spec)


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:16]


def _container(situation: Situation, database: ManagedDatabase) -> Manifest:
    probe = {"exec": {"command": ["sh", "-c", _ASK]}, "timeoutSeconds": 5}
    return {
        "name": "mysql",
        "image": database.image or situation.settings.mysql_image,
        "imagePullPolicy": situation.settings.image_pull_policy,
        "command": ["sh", "-c", _START, "mysqld"],
        "args": list(_OPTIONS),
        "env": [pod.from_secret("DATABASE_PASSWORD", situation.named("db-init"), "password")],
        "ports": [{"name": "mysql", "containerPort": PORT, "protocol": "TCP"}],
        "readinessProbe": {**probe, "periodSeconds": 2, "failureThreshold": 3},
        "startupProbe": {**probe, "periodSeconds": 2, "failureThreshold": 300},
        "livenessProbe": {"tcpSocket": {"port": "mysql"}, "periodSeconds": 10, "failureThreshold": 6},
        "resources": pod.resources(database.resources, "50m", "384Mi", "1Gi"),
        "securityContext": pod.CONTAINER,
        "volumeMounts": [
            {"name": "data", "mountPath": "/var/lib/mysql"},
            {"name": "init", "mountPath": "/etc/pier/init", "readOnly": True},
            {"name": "tls", "mountPath": "/etc/pier/tls", "readOnly": True},
            {"name": "run", "mountPath": "/run/mysqld"},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108  an emptyDir of the pod
        ],
    }


def _volumes(situation: Situation) -> list[Manifest]:
    """mysqld reads its files as its own user and no other, so group may read and others may not."""
    return [
        {"name": "data", "persistentVolumeClaim": {"claimName": situation.named("mysql")}},
        {"name": "init", "secret": {"secretName": situation.named("db-init"), "defaultMode": 0o440}},
        {"name": "tls", "secret": {"secretName": situation.named("db-tls"), "defaultMode": 0o440}},
        {"name": "run", "emptyDir": {}},
        {"name": "tmp", "emptyDir": {}},
    ]


def _readiness(situation: Situation, login: Login) -> tuple[bool, Condition]:
    server = situation.observed.child("StatefulSet", situation.named("mysql"))
    ready = is_rolled(server) and bool(server and server["spec"].get("replicas", 1))
    if login.invalid:
        text = (
            f"key password of Secret {situation.named('db')} must have 16 to 128 letters, digits, '_', '.', '~' and "
            "'-': change it; until then the one of before holds"
        )
        return ready, Condition(READY, False, "PasswordInvalid", text)
    if situation.registry.mode == "Hibernated":
        return ready, Condition(READY, False, "Hibernated", "MySQL is stopped while the registry is hibernated")
    if ready:
        return True, Condition(READY, True, "Ready", "MySQL answers")
    trouble = pod.trouble(situation, "database")
    if trouble:
        return False, Condition(READY, False, "PodTrouble", trouble)
    text = f"MySQL starts: see StatefulSet {situation.named('mysql')}"
    return False, Condition(READY, False, "Starting", text)
