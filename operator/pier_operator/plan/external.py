"""A database of the user's: MySQL or MariaDB, with TLS as strict as asked for."""

from __future__ import annotations

from hashlib import sha256
from typing import Final
from urllib.parse import quote

from pier_operator.plan.child import Child, Condition, Plan, Situation, secret
from pier_operator.plan.database import READY
from pier_operator.spec import ExternalDatabase

_CA: Final = "ssl_ca=/etc/pier/database/ca.crt"
_QUERY: Final = {
    "Disabled": "?ssl_disabled=true",
    "Required": "?ssl_check_hostname=false",
    "VerifyCA": f"?{_CA}&ssl_check_hostname=false",
    "VerifyIdentity": f"?{_CA}",
}


def external(situation: Situation, database: ExternalDatabase) -> Plan:
    """Secret NAME-db-url, from the user's Secrets. While one of them is missing, what there is stays as it is."""
    trouble = _trouble(situation, database)
    facts = {"database-ready": not trouble, "database-endpoint": f"{database.host}:{database.port}"}
    name = situation.named("db-url")
    if trouble:
        held = situation.observed.child("Secret", name)
        kept = (Child(secret(name, situation.observed.secret(name))),) if held else ()
        return Plan(kept, (Condition(READY, False, "SecretMissing", trouble),), facts=facts)
    url, authority = _url(situation, database), _authority(situation, database)
    texts = {"url": url} | ({"ca.crt": authority} if authority else {})
    text = (
        f"the database at {database.host} is used; whether it answers is told by SchemaMigrated and RegistryAvailable"
    )
    facts |= {
        "database-url": sha256(url.encode()).hexdigest()[:16],
        "database-secret": database.credentials,
        "database-ca": bool(authority),
    }
    return Plan((Child(secret(name, texts)),), (Condition(READY, True, "External", text),), facts=facts)


def _trouble(situation: Situation, database: ExternalDatabase) -> str:
    login = situation.observed.reference(database.credentials)
    missing = [key for key in ("username", "password") if not login.get(key)]
    if missing:
        return f"Secret {database.credentials} must hold {' and '.join(missing)}: add what is missing"
    if database.authority and not _authority(situation, database):
        return f"Secret {database.authority} must hold ca.crt: add it"
    return ""


def _authority(situation: Situation, database: ExternalDatabase) -> str:
    return situation.observed.reference(database.authority).get("ca.crt", "") if database.authority else ""


def _url(situation: Situation, database: ExternalDatabase) -> str:
    login = situation.observed.reference(database.credentials)
    user, password = (quote(login[key], safe="") for key in ("username", "password"))
    query = _QUERY[database.tls_mode]
    return f"mysql+pymysql://{user}:{password}@{database.host}:{database.port}/{database.name}{query}"
