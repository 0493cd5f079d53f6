"""The files that name the registry's users: Secret NAME-users-file, re-read by running pods without a restart."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

from pier_operator.claim import REPOSITORY
from pier_operator.plan.child import Child, Plan, Situation, manifest, secret
from pier_operator.plan.credentials import ADMIN, NODES, PROBE, PULL, own_users

USERS: Final = "users.htpasswd"
RIGHTS: Final = "rights.yaml"
MODE: Final = "mode"
# The only repository that the operator itself may push to, when it looks whether a push works.
PROBED: Final = "pier-probe"


def users_file(situation: Situation, passwords: Mapping[str, str]) -> Plan:
    """A hash is kept for as long as it fits its password, so that the file changes only when a user does."""
    name = situation.named("users-file")
    known = _hashes(situation.observed.secret(name).get(USERS, ""))
    own = own_users(situation)
    wanted = [ADMIN, *own, *(user.name for user in situation.registry.users)]
    lines = []
    for user in wanted:
        if user in passwords:
            lines.append(f"{user}:{situation.chance.hashed(passwords[user], known.get(user, ''))}")
        elif user in known:  # its Secret is gone: nobody is locked out by that
            lines.append(f"{user}:{known[user]}")
    mode = "read-only\n" if situation.registry.mode == "ReadOnly" else "active\n"
    texts = {USERS: "".join(f"{line}\n" for line in lines), RIGHTS: _rights(situation), MODE: mode}
    digest = sha256("\0".join(f"{key}\0{texts[key]}" for key in sorted(texts)).encode()).hexdigest()[:16]
    loaded = sha256(texts[USERS].encode()).hexdigest()
    facts = {"users-hash": digest, "users-loaded": loaded, "users": len(lines) - len(own)}
    return Plan((Child(secret(name, texts)),), facts=facts)


def pull_secret(situation: Situation, host: str, passwords: Mapping[str, str]) -> Plan:
    """Secret NAME-pull, for imagePullSecrets; for the name outside and the one inside of the cluster."""
    user = situation.registry.pull_user or PULL
    if user not in passwords:
        return Plan()
    basic = base64.b64encode(f"{user}:{passwords[user]}".encode()).decode()
    entry = {"username": user, "password": passwords[user], "auth": basic}
    inside = f"{situation.registry.name}.{situation.registry.namespace}.svc"
    text = json.dumps({"auths": dict.fromkeys(sorted({host, inside} - {""}), entry)}, sort_keys=True)
    data = {".dockerconfigjson": base64.b64encode(text.encode()).decode()}
    held = manifest("Secret", situation.named("pull"), type="kubernetes.io/dockerconfigjson", data=data)
    return Plan((Child(held),))


def _hashes(text: str) -> dict[str, str]:
    pairs = [line.partition(":") for line in text.splitlines()]
    return {user: stored for user, _, stored in pairs}


def _rights(situation: Situation) -> str:
    """JSON is YAML, and one way of writing it. Raises nothing: the API server has checked names and patterns."""
    entries: dict[str, list[dict[str, Any]]] = {
        ADMIN: [{"role": "admin", "repositories": ["*"]}],
        PULL: [{"role": "pull", "repositories": ["*"]}],
        PROBE: [{"role": "push", "repositories": [PROBED]}],
    }
    if situation.registry.node_trust:
        entries[NODES] = [{"role": "pull", "repositories": [REPOSITORY]}]
    for user in situation.registry.users:
        entries[user.name] = [{"role": user.role.lower(), "repositories": list(user.repositories)}]
    return json.dumps({"users": entries}, indent=1) + "\n"
